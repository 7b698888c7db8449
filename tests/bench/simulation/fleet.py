"""The fleet: GPU workers, a sweep, one Redis and one bucket, in a discrete-event simulation at the grain of shards.

Each wait of a slot is one event; what serves in order of arrival is a `Server`. A few round trips that follow each
other at once are one visit to Redis, with the work and the ways of all of them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy

from tests.bench.simulation.board import Board
from tests.bench.simulation.inputs import Inputs
from tests.bench.simulation.server import Server, Servers
from workers.sweep import JOBS_PER_TURN

Waits = Iterator[simpy.Event]
#: How often the fleet's heartbeats are brought to Redis, all that are due at once.
TICK_S = 0.05
#: A bucket lists this many keys a call.
LISTED = 1000


class Host:
    """One GPU worker: a GPU, its share of cores and network, and one interpreter."""

    def __init__(self, inputs: Inputs) -> None:
        self.gpu, self.cores, self.network, self.python = (
            Server(),
            Servers(inputs.cores),
            Server(),
            Server(),
        )


@dataclass(frozen=True)
class Moment:
    """Until `at_s`: seconds that each resource worked, and that all slots together waited for messages."""

    at_s: float
    worked_s: dict[str, float]
    idle_s: float


@dataclass
class Fleet:
    """Everything at time 0, with nothing sent."""

    inputs: Inputs

    def __post_init__(self) -> None:
        i = self.inputs
        self.env = simpy.Environment()
        self.redis, self.puts, self.gets = Server(), Server(), Server()
        self.hosts = [Host(i) for _ in range(i.workers)]
        self.board = Board(self.env, i.jobs, i.shards_per_job)
        self.idle_s = self.stored_at = self.ended_at = 0.0
        self.moments: list[Moment] = []
        self._random = random.Random(0)

    def run(self) -> None:
        """Until the last job's outcome is written."""
        self._last = self.env.event()
        self.env.process(self._submit())
        self.env.process(self._sweep())
        self.env.process(self._hearts())
        for host in self.hosts:
            for _ in range(self.inputs.slots):
                self.env.process(self._slot(host))
        self.env.run(until=self._last)

    # Redis

    def _visit(self, *calls_us: float) -> simpy.Event:
        i = self.inputs
        done = self.redis.serve(self.env.now, sum(calls_us) / 1e6)
        return self.env.timeout(done - self.env.now + len(calls_us) * i.round_trip_s)

    def _dispatch(self, limit: int) -> Waits:
        """As service/lifecycle/dispatch.py: look, claim each due job in its turn, send what was claimed."""
        costs, board, i = self.inputs.ledger, self.board, self.inputs
        yield self._visit(costs.slots, costs.queue_length, costs.due)
        room = max(0, i.queue_windows * i.window - len(board.messages))
        for job in board.due(limit):
            sent = board.claim(job, window=i.window, room=min(room, i.burst))
            room -= sent
            yield self._visit(costs.claim + costs.claim_shard * max(0, sent - 1))
            for _ in range(sent):
                self.redis.serve(self.env.now, costs.push / 1e6)
                yield self.env.timeout(i.send_s)
                board.send(job)

    def _submit(self) -> Waits:
        yield from self._dispatch(4)

    def _sweep(self) -> Waits:
        while True:
            yield self.env.timeout(self.inputs.sweep_s)
            yield from self._dispatch(JOBS_PER_TURN)

    def _hearts(self) -> Waits:
        i = self.inputs
        beats = i.workers * TICK_S / i.beat_s
        while True:
            yield self.env.timeout(TICK_S)
            self.redis.serve(self.env.now, beats * i.ledger.heartbeat / 1e6)

    # a slot's life

    def _slot(self, host: Host) -> Waits:
        board = self.board
        while board.left:
            asked_at = self.env.now
            while not board.messages:
                yield board.message()
            job = board.messages.popleft()
            self.idle_s += self.env.now - asked_at
            yield from self._shard(host)
            last = board.commit(job)
            if self._at_a_quarter():
                self.moments.append(self._moment())
            if last:
                yield from self._finish()
            yield from self._dispatch(2)

    def _shard(self, host: Host) -> Waits:
        i, now = self.inputs, lambda: self.env.now
        costs = i.ledger
        taken = self.redis.serve(now(), costs.take / 1e6)
        yield self._until(host.python.serve(taken + i.round_trip_s, i.python_s))
        begun = self.redis.serve(now(), costs.begin / 1e6) + i.round_trip_s
        yield self._until(self.gets.serve(begun, 1 / i.gets_per_s / i.prefixes) + self._latency())
        started = now()
        yield self._until(host.gpu.serve(started, i.shard_size / i.decode_per_s))
        yield self._until(host.cores.serve(now(), i.shard_size * i.host_us_per_image / 1e6))
        renewals = 1 + int((now() - started) / i.heartbeat_s)
        renewed = self.redis.serve(now(), renewals * costs.extend / 1e6) + i.round_trip_s
        yield self._until(self.puts.serve(renewed, 1 / i.puts_per_s / i.prefixes))
        yield self._until(self._sent(host) + self._latency())
        yield self._visit(costs.note_work, costs.commit)

    def _sent(self, host: Host) -> float:
        """When the object's last byte has left: its connection and the host's network both bound it."""
        i = self.inputs
        size = i.shard_size * i.bytes_per_image
        by_network = host.network.serve(self.env.now, size / i.network_bytes_per_s)
        return max(by_network, self.env.now + size / i.connection_bytes_per_s)

    def _finish(self) -> Waits:
        i = self.inputs
        self.stored_at = self.env.now
        listing_s = i.shards_per_job / LISTED * sum(i.bucket_latency_s) / 2
        yield self.env.timeout(i.shards_per_job * i.finish_us_per_shard / 1e6 + listing_s)
        self.ended_at = self.env.now
        if not self.board.left and not self._last.triggered:
            self._last.succeed()

    def _at_a_quarter(self) -> bool:
        """The middle half tells the steady rate; before it the fleet fills, after it the fleet runs empty."""
        done = self.inputs.shards - self.board.left
        return done in (self.inputs.shards // 4, self.inputs.shards * 3 // 4)

    def _moment(self) -> Moment:
        now, hosts, inputs = self.env.now, self.hosts, self.inputs
        return Moment(
            now,
            {
                "GPU": sum(host.gpu.worked_s(now) for host in hosts) / inputs.workers,
                "cores": sum(host.cores.worked_s(now) for host in hosts)
                / (inputs.workers * inputs.cores),
                "interpreter": sum(host.python.worked_s(now) for host in hosts) / inputs.workers,
                "network": sum(host.network.worked_s(now) for host in hosts) / inputs.workers,
                "bucket": self.puts.worked_s(now),
                "Redis": self.redis.worked_s(now),
            },
            self.idle_s,
        )

    def _until(self, time: float) -> Any:
        return self.env.timeout(max(0.0, time - self.env.now))

    def _latency(self) -> float:
        return self._random.uniform(*self.inputs.bucket_latency_s)
