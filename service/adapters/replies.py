"""Replies: answers to those who wait for one, in Redis. Whoever stopped waiting is answered no more."""

from typing import Any

import redis

from service.adapters.redis_client import answered

#: An answer that nobody fetched is forgotten.
_KEPT_MS = 60_000


class Replies:
    """Every method raises LedgerUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def expect(self, name: str, *, for_s: float) -> None:
        """Say that somebody waits for a reply, for so long."""
        with answered():
            self._redis.set(f"lm:awaited:{name}", 1, px=int(for_s * 1000))

    def is_awaited(self, name: str) -> bool:
        with answered():
            return bool(self._redis.exists(f"lm:awaited:{name}"))

    def give(self, name: str, text: str) -> None:
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            pipe.lpush(f"lm:reply:{name}", text)
            pipe.pexpire(f"lm:reply:{name}", _KEPT_MS)
            pipe.execute()

    def wait(self, name: str, *, for_s: float) -> str | None:
        """The reply; None when none came in time. `for_s` stays below what is waited for any answer of Redis."""
        with answered():
            found = self._redis.blpop([f"lm:reply:{name}"], timeout=for_s)
        return None if found is None else str(found[1])
