"""What is done to the fleet: two hands, one at the processes, one at what they share; chosen by the seed."""

import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from service.adapters.queue import BULK, GENERATE, SMALL
from service.contract.errors import LatentmillError
from tests.chaos.grounds import Grounds
from tests.fixtures.role import Role

Deed = Callable[[Grounds, random.Random], str]
_QUEUES = (SMALL, BULK, GENERATE)


@dataclass(frozen=True)
class Fault:
    """One deed: when it began, by the clock, how long it lasted, and what was hurt."""

    at: float
    lasted_s: float
    name: str
    detail: str


class Mischief:
    """Hurts until stopped. `faults` is the diary."""

    def __init__(self, grounds: Grounds, seed: str, *, pause_s: tuple[float, float]) -> None:
        self.faults: list[Fault] = []
        self._grounds, self._pause_s, self._over = grounds, pause_s, threading.Event()
        self._hands = [
            threading.Thread(
                target=self._hurt, args=(deeds, random.Random(f"{seed}/{hand}")), daemon=True
            )
            for hand, deeds in {"processes": _AT_PROCESSES, "places": _AT_PLACES}.items()
        ]

    def go_on_for(self, seconds: float) -> float:
        """Returns the moment of the last fault's end."""
        for hand in self._hands:
            hand.start()
        time.sleep(seconds)
        self._over.set()
        for hand in self._hands:
            hand.join()
        return max((fault.at + fault.lasted_s for fault in self.faults), default=time.time())

    def _hurt(self, deeds: dict[Deed, int], chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*self._pause_s)):
            (deed,) = chance.choices(list(deeds), list(deeds.values()))
            at = time.time()
            try:
                detail = deed(self._grounds, chance)
            except (redis.RedisError, LatentmillError, OSError) as error:
                detail = f"could not: {error}"
            self.faults.append(Fault(at, time.time() - at, deed.__name__, detail))

    def counts(self) -> dict[str, int]:
        done = [fault for fault in self.faults if not fault.detail.startswith("could not")]
        return dict(sorted(Counter(fault.name for fault in done).items()))


def _short_or_long(grounds: Grounds, chance: random.Random) -> float:
    """Seconds: mostly less than a lease, sometimes more."""
    return chance.uniform(0.2, 4) if chance.random() < 0.85 else 1.3 * grounds.lease_s


# -- processes -------------------------------------------------------------------------------------------------------


def _somebody(grounds: Grounds, chance: random.Random) -> Role:
    name = chance.choices(("worker", "api", "sweep"), (3, 2, 2))[0]
    living = grounds.living(name)
    if not living:
        raise OSError(f"no {name} lives")
    return chance.choice(living)


def killed(grounds: Grounds, chance: random.Random) -> str:
    role = _somebody(grounds, chance)
    role.kill()
    return role.log.stem


def terminated(grounds: Grounds, chance: random.Random) -> str:
    role = _somebody(grounds, chance)
    role.signal(signal.SIGTERM)
    return role.log.stem


def frozen(grounds: Grounds, chance: random.Random) -> str:
    role, seconds = _somebody(grounds, chance), _short_or_long(grounds, chance)
    role.signal(signal.SIGSTOP)
    time.sleep(seconds)
    role.signal(signal.SIGCONT)
    return f"{role.log.stem} for {seconds:.1f} s"


# -- Redis -----------------------------------------------------------------------------------------------------------


def redis_killed(grounds: Grounds, chance: random.Random) -> str:
    grounds.redis_server.kill()
    time.sleep(chance.uniform(0, 4))
    grounds.redis_server.start()
    return "its append-only file stayed"


def redis_replaced(grounds: Grounds, chance: random.Random) -> str:
    grounds.redis_server.kill()
    shutil.rmtree(grounds.redis_server.folder / "appendonlydir", ignore_errors=True)
    time.sleep(chance.uniform(0, 2))
    grounds.redis_server.start()
    return "an empty one came up"


def redis_frozen(grounds: Grounds, chance: random.Random) -> str:
    process, seconds = grounds.redis_server.process, chance.uniform(0.2, 7)
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    return f"for {seconds:.1f} s"


def redis_flushed(grounds: Grounds, chance: random.Random) -> str:
    grounds.redis.flushall()
    return ""


# -- messages --------------------------------------------------------------------------------------------------------


def messages_lost(grounds: Grounds, chance: random.Random) -> str:
    """What waits in the queues is gone; producers' messages are nobody's promise yet."""
    lost = sum(int(grounds.redis.llen(queue)) for queue in _QUEUES)
    grounds.redis.delete(*_QUEUES)
    return f"{lost} messages"


def messages_doubled(grounds: Grounds, chance: random.Random) -> str:
    """What waits in the queues is there twice, and shards of running jobs are sent again."""
    for queue in _QUEUES:
        waiting = grounds.redis.lrange(queue, 0, -1)
        if waiting:
            grounds.redis.lpush(queue, *waiting)
    jobs = sorted(grounds.parts.ledger.unfinished())
    for job_id in jobs[:8]:
        grounds.parts.queue.send_shard(job_id, chance.randrange(4), small=False)
    return f"and shards of {len(jobs[:8])} jobs"


# -- storage ---------------------------------------------------------------------------------------------------------


def storage_away(grounds: Grounds, chance: random.Random) -> str:
    seconds = chance.uniform(0.3, 6)
    with grounds.storage_away():
        time.sleep(seconds)
    return f"for {seconds:.1f} s"


def shard_deleted(grounds: Grounds, chance: random.Random) -> str:
    path = _shard_of_a_running_job(grounds, chance)
    path.unlink()
    return grounds.note_damage(path)


def shard_corrupted(grounds: Grounds, chance: random.Random) -> str:
    path = _shard_of_a_running_job(grounds, chance)
    with path.open("r+b") as file:
        file.seek(chance.randrange(path.stat().st_size))
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0x10]))
    return grounds.note_damage(path)


def _shard_of_a_running_job(grounds: Grounds, chance: random.Random) -> Path:
    running = sorted(grounds.parts.ledger.unfinished())
    chance.shuffle(running)
    for job_id in running:
        entry = grounds.parts.ledger.read(job_id)
        if entry is not None:
            stored = sorted((grounds.objects / "shards" / entry.request.recipe.digest).glob("*"))
            if stored:
                return chance.choice(stored)
    raise OSError("no running job has a stored shard")


_AT_PROCESSES: dict[Deed, int] = {killed: 5, terminated: 4, frozen: 4}
_AT_PLACES: dict[Deed, int] = {
    redis_killed: 3,
    redis_replaced: 1,
    redis_frozen: 2,
    redis_flushed: 2,
    messages_lost: 2,
    messages_doubled: 4,
    storage_away: 3,
    shard_deleted: 4,
    shard_corrupted: 4,
}
