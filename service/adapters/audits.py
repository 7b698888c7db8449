"""What audits found, in Redis: counters, and the workers that are to stop."""

from typing import Any

import redis

from service.adapters.redis_client import answered

#: A worker that was found wrong is kept from work for so long, under the same name.
QUARANTINE_S = 86_400
_COUNTS = "lm:audits"


class Audits:
    """Part of the ledger. Every method raises LedgerUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def workers(self) -> set[str]:
        """Names of the workers that are believed alive."""
        with answered():
            seconds, micros = self._redis.time()
            now = seconds * 1000 + micros // 1000
            return set(self._redis.zrangebyscore("lm:workers", f"({now}", "+inf"))

    def quarantine(self, worker: str) -> None:
        """The worker sees it at its next heartbeat, and ends."""
        with answered():
            self._redis.set(f"lm:quarantined:{worker}", 1, ex=QUARANTINE_S)

    def is_quarantined(self, worker: str) -> bool:
        with answered():
            return bool(self._redis.exists(f"lm:quarantined:{worker}"))

    def note(self, result: str) -> None:
        """Count one audit: `agreed`, `differed` or `skipped`."""
        with answered():
            self._redis.hincrby(_COUNTS, result, 1)

    def counts(self) -> dict[str, int]:
        with answered():
            return {result: int(n) for result, n in self._redis.hgetall(_COUNTS).items()}
