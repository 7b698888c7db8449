"""The queue of the simulation: messages that are lost, doubled, and taken by workers that die with them."""

from collections import deque
from typing import NamedTuple

from service.contract.errors import LedgerUnavailable
from tests.model.faults import Faults
from tests.model.stage import Stage


class Message(NamedTuple):
    task: str
    job_id: str
    shard: int = 0


class Post:
    """What the lifecycle sends by, and what the simulated workers take from."""

    def __init__(self, stage: Stage, faults: Faults) -> None:
        self._stage, self._faults = stage, faults
        self.messages: deque[Message] = deque()
        self._taken: list[Message] = []

    def send_shard(self, job_id: str, shard: int, *, small: bool) -> None:
        self.send(Message("shard", job_id, shard), first=small)

    def send_repair(self, job_id: str) -> bool:
        return self.send(Message("repair", job_id))

    def send(self, message: Message, *, first: bool = False) -> bool:
        self._stage.yields(f"send {message.task} {message.job_id} {message.shard}")
        if self._faults.redis_is_away(self._stage.now_ms):
            return False
        if self._faults.strikes("message_lost"):
            self._stage.tell("the message is lost")
            return True
        for _ in range(1 + self._faults.strikes("message_doubled")):
            self.messages.appendleft(message) if first else self.messages.append(message)
        return True

    def take(self) -> Message:
        self._taken.append(self.messages[0])
        return self.messages.popleft()

    def acknowledge(self, message: Message) -> None:
        if message in self._taken:
            self._taken.remove(message)

    def restore(self) -> None:
        """What dead and slow workers have taken is delivered again."""
        self.messages.extend(self._taken)
        self._taken.clear()

    def length(self) -> int:
        self._stage.yields("queue length")
        if self._faults.redis_is_away(self._stage.now_ms):
            raise LedgerUnavailable("away")
        return len(self.messages)
