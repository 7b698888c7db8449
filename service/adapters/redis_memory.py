"""How full Redis is: with `noeviction` a full server refuses every write, also those that end a job."""

import time
from typing import Any

import redis

from service.adapters.redis_client import answered
from service.contract.errors import LedgerFull

#: What is left is for the jobs that were accepted already.
FULL = 0.9
_BELIEVED_S = 1.0


class RedisMemory:
    """Asks at most once a second; a server without `maxmemory` is never full."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._share, self._asked_at = 0.0, float("-inf")

    def refuse_when_full(self) -> None:
        """Raises LedgerFull above nine tenths of `maxmemory`, LedgerUnavailable when Redis does not answer."""
        if time.monotonic() - self._asked_at >= _BELIEVED_S:
            self._share = self._used()
            self._asked_at = time.monotonic()
        if self._share > FULL:
            raise LedgerFull(f"Redis is at {self._share:.0%} of its maxmemory")

    def _used(self) -> float:
        with answered():
            memory = self._redis.info("memory")
        most = int(memory.get("maxmemory", 0))
        return int(memory["used_memory"]) / most if most else 0.0
