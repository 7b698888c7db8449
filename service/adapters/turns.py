"""Turns: work that one process at a time should do, by name, in Redis.

They only save work. Whatever is done under a turn must be right when two do it at once, because turns end by the clock.
"""

from typing import Any

import redis

from service.adapters.redis_client import answered


class Turns:
    """Every method raises LedgerUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def take(self, name: str, *, for_s: float) -> bool:
        """Whether the turn was free and is ours now, for so many seconds."""
        with answered():
            return bool(self._redis.set(f"lm:turn:{name}", 1, nx=True, px=_ms(for_s)))

    def keep(self, name: str, *, for_s: float) -> None:
        """Make the turn last so many seconds from now, whoever took it."""
        with answered():
            self._redis.set(f"lm:turn:{name}", 1, px=_ms(for_s))

    def end(self, name: str) -> None:
        """Let the next one take it."""
        with answered():
            self._redis.delete(f"lm:turn:{name}")

    def tries(self, name: str, *, remembered_s: float) -> int:
        """How often this was asked for the name, this time included, until nobody asks for so long."""
        with answered(), self._redis.pipeline() as pipe:
            pipe.incr(f"lm:tries:{name}")
            pipe.pexpire(f"lm:tries:{name}", _ms(remembered_s))
            return int(pipe.execute()[0])

    def forget_tries(self, name: str) -> None:
        with answered():
            self._redis.delete(f"lm:tries:{name}")


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
