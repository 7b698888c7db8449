"""The real things that the rules work with, chosen once by each process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.adapters.ledger import Ledger
from service.adapters.queue import ShardQueue, celery_app
from service.adapters.redis_client import check_redis, connect
from service.adapters.storage import Storage, open_storage
from service.adapters.storage_race import require_conditional_create
from service.contract.settings import Settings


def now() -> datetime:
    """The moment, in whole milliseconds: what is stored reads back equal."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class Parts:
    """Storage holds the truth, the ledger what moves, the queue hints. `retention` None: shards stay for ever.

    `signing_key` None: manifests are not signed.
    """

    storage: Storage
    ledger: Ledger
    queue: ShardQueue
    clock: Callable[[], datetime] = now
    retention: timedelta | None = None
    signing_key: bytes | None = None


def open_parts(settings: Settings) -> Parts:
    """Connect to what the settings name, without asking whether it answers."""
    client = connect(settings)
    ledger = Ledger(
        client,
        lease_s=settings.lease_s,
        queue_lease_s=settings.queue_lease_s,
        max_attempts=settings.max_attempts,
        ttl_s=settings.ledger_ttl_s,
    )
    queue = ShardQueue(celery_app(settings), client)
    return Parts(
        *(open_storage(settings), ledger, queue),
        retention=settings.retention,
        signing_key=settings.private_key,
    )


def check_parts(settings: Settings, parts: Parts) -> None:
    """Refuse to start on a store or a Redis that cannot keep the promises.

    Raises StorageUnavailable, LedgerUnavailable or StartRefused saying which, where and what to set.
    """
    parts.storage.check()
    if settings.storage_conditional == "on":
        require_conditional_create(parts.storage)
    check_redis(connect(settings))
