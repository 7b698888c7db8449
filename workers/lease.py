"""A worker's hold on one shard, renewed by the clock and not by the batch."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Protocol

import structlog

from service.adapters.ledger import Ledger
from service.adapters.ledger_values import Verdict
from service.contract.errors import LeaseLost, LedgerUnavailable

log = structlog.get_logger(__name__)


class Lease:
    """Renews while the shard is worked on; each renewal also tells whether the job still wants it."""

    def __init__(self, ledger: Ledger, job_id: str, shard: int, *, heartbeat_s: float) -> None:
        self._ledger, self.job_id, self.shard = ledger, job_id, shard
        self._heartbeat_s = heartbeat_s
        self.token = uuid.uuid4().hex
        #: When the holder last came by: while it does, the shard moves.
        self.seen_at = time.monotonic()

    def keep(self) -> None:
        """Renew when it is time. Raises LeaseLost when the job was cancelled or another worker has the shard."""
        if time.monotonic() - self.seen_at >= self._heartbeat_s:
            self.renew()

    def renew(self) -> None:
        """Renew now, if Redis answers. Raises LeaseLost."""
        try:
            verdict = self._ledger.extend(self.job_id, self.shard, self.token)
        except LedgerUnavailable as error:
            # A lease saves work and decides nothing: what is half made is worth storing while Redis is away.
            log.info("lease_not_renewed", job=self.job_id, shard=self.shard, reason=error.detail)
            verdict = Verdict.OK
        self.seen_at = time.monotonic()
        if verdict != Verdict.OK:
            raise LeaseLost(f"the job answered {verdict}")

    def hand_back(self) -> None:
        """Let another worker begin the shard now; the holder hears of it when it renews. Raises LedgerUnavailable."""
        reason = "its worker was told to stop"
        self._ledger.release(
            self.job_id, self.shard, self.token, reason=reason, retry_s=0, counts=False
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renewed while the block waits for storage, which may take longer than the lease.

        `seen_at` stands still meanwhile: a read or write that never ends is still seen by the heart.
        """
        ended = threading.Event()
        threading.Thread(target=self._hold, args=(ended,), daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _hold(self, ended: threading.Event) -> None:
        while not ended.wait(self._heartbeat_s):
            # What the job answers is heard at the commit; Redis that is away is asked again.
            with suppress(LedgerUnavailable):
                self._ledger.extend(self.job_id, self.shard, self.token)


class Seen(Protocol):
    """Work whose holder comes by again and again."""

    @property
    def seen_at(self) -> float:
        """When it last did, of the monotonic clock."""


class Watch:
    """What this process has in hand, so that its heart can tell work from a wedge."""

    def __init__(self) -> None:
        self._held: set[Lease] = set()
        self._minded: set[Seen] = set()
        self._lock = threading.Lock()
        #: Messages taken so far, and those that are worked on now.
        self.taken, self.working = 0, 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around all that is done for one message."""
        with self._lock:
            self.taken, self.working = self.taken + 1, self.working + 1
        try:
            yield
        finally:
            with self._lock:
                self.working -= 1

    def holding(self, lease: Lease) -> "_Held":
        return _Held(self._held, lease)

    @contextmanager
    def minding(self, work: Seen) -> Iterator[None]:
        """Around work that is no shard of a job: nobody hands it back, but a wedge in it is seen."""
        self._minded.add(work)
        try:
            yield
        finally:
            self._minded.discard(work)

    def held(self) -> list[Lease]:
        return list(self._held.copy())

    def oldest_s(self) -> float:
        """Seconds since the least recently seen holder came by; 0 when idle."""
        now = time.monotonic()
        in_hand: list[Seen] = [*self._held.copy(), *self._minded.copy()]
        return max((now - work.seen_at for work in in_hand), default=0.0)


class _Held:
    def __init__(self, held: set[Lease], lease: Lease) -> None:
        self._held, self._lease = held, lease

    def __enter__(self) -> Lease:
        self._held.add(self._lease)
        return self._lease

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.discard(self._lease)
