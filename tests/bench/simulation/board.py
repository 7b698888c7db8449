"""What Redis holds in the simulation: jobs with their windows, whose turn it is, and the messages."""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

import simpy


@dataclass
class Ongoing:
    """A job: shards sent, out and done."""

    shards: int
    next: int = 0
    out: int = 0
    done: int = 0


class Board:
    """The ledger's rules at the grain of shards; every owner has one job, so turns of owners are turns of jobs."""

    def __init__(self, env: simpy.Environment, jobs: int, shards: int) -> None:
        self._env = env
        self.jobs = [Ongoing(shards) for _ in range(jobs)]
        self.left = jobs * shards
        self.messages: deque[int] = deque()
        self._hungry: deque[simpy.Event] = deque()
        # The longest ago served first: each due job is in line with its turn, and out of date lines are skipped.
        self._turns, self._turn = list(range(jobs)), jobs
        self._due, self._line = set(range(jobs)), [(job, job) for job in range(jobs)]

    def due(self, limit: int) -> list[int]:
        found: list[int] = []
        while self._line and len(found) < limit:
            turn, job = heappop(self._line)
            if job in self._due and turn == self._turns[job] and job not in found:
                found.append(job)
        for job in found:
            self._turns[job] = self._turn = self._turn + 1
            heappush(self._line, (self._turn, job))
        return found

    def claim(self, number: int, *, window: int, room: int) -> int:
        """How many shards are leased to the queue now. A job that only the room held back stays due."""
        job = self.jobs[number]
        sent = max(0, min(window - job.out, room, job.shards - job.next))
        job.next += sent
        job.out += sent
        if not (job.out < window and job.next < job.shards):
            self._due.discard(number)
        return sent

    def commit(self, number: int) -> bool:
        """Whether this was the job's last shard."""
        job = self.jobs[number]
        job.out -= 1
        job.done += 1
        self.left -= 1
        # With nothing left to send a claim finds nothing, but it is made.
        if number not in self._due:
            self._due.add(number)
            heappush(self._line, (self._turns[number], number))
        return job.done == job.shards

    def send(self, job: int) -> None:
        self.messages.append(job)
        if self._hungry:
            self._hungry.popleft().succeed()

    def message(self) -> simpy.Event:
        """Happens when there may be a message for whoever asks."""
        event = self._env.event()
        if self.messages:
            event.succeed()
        else:
            self._hungry.append(event)
        return event
