"""What a call costs a Redis that is never idle: sixty-four connections ask at once, as a fleet would.

One caller at a time is the dearest way to ask: each call then pays alone for waking the server and for the write to
the append-only file. What one Redis carries follows from the cost among others.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import redis

from tests.bench.ledger.bench import Bench, Caller

CONNECTIONS = 64
PARTS = 4
Act = Callable[[Caller], object]


class _Heard(Exception):
    """Carries the bytes that a call would have sent."""


class _Listening(redis.Connection):
    """Sends its greeting, and from then on tells what it is given instead of sending it."""

    greeted = False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self.greeted:
            parts = [command] if isinstance(command, str | bytes) else command
            raise _Heard(b"".join(p.encode() if isinstance(p, str) else p for p in parts))
        super().send_packed_command(command, check_health)

    def connect(self) -> None:
        super().connect()
        self.greeted = True


def crowd_us(bench: Bench, acts: Sequence[Act]) -> float:
    """Microseconds of Redis's main thread for each act. Every act takes one round trip."""
    messages = list(_wire(bench, acts))
    address = urlsplit(bench.url)
    crowd = [
        socket.create_connection((str(address.hostname), int(address.port or 6379)), timeout=10)
        for _ in range(CONNECTIONS)
    ]
    try:
        return min(_us(bench, crowd, part) for part in _parts(messages))
    finally:
        for one in crowd:
            one.close()


def _parts(messages: list[bytes]) -> Iterator[list[bytes]]:
    """A few measurements, of which the best counts: the machine is noisy, and noise only slows."""
    size = max(CONNECTIONS, len(messages) // PARTS)
    for start in range(0, max(1, len(messages) - size + 1), size):
        yield messages[start : start + size]


def _us(bench: Bench, crowd: list[socket.socket], messages: list[bytes]) -> float:
    rounds = -(-len(messages) // len(crowd))
    return bench.meter.read(_rounds(crowd, messages)).redis_us * rounds / len(messages)


def _wire(bench: Bench, acts: Sequence[Act]) -> Iterator[bytes]:
    """The bytes of the acts, made as the client makes them."""
    pool = redis.ConnectionPool.from_url(
        bench.url, connection_class=_Listening, decode_responses=True
    )
    caller = bench.caller_by(redis.Redis(connection_pool=pool))
    for act in acts:
        try:
            act(caller)
        except _Heard as heard:
            yield heard.args[0]
    pool.disconnect()


def _rounds(crowd: list[socket.socket], messages: list[bytes]) -> Iterator[Callable[[], None]]:
    for start in range(0, len(messages), len(crowd)):
        batch = messages[start : start + len(crowd)]

        def ask(batch: list[bytes] = batch) -> None:
            for connection, message in zip(crowd, batch, strict=False):
                connection.sendall(message)
            for connection, _ in zip(crowd, batch, strict=False):
                connection.recv(65_536)

        yield ask
