"""One way to reach Redis: bounded waits, one retry, and errors that say where and what to set."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import structlog
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from service.adapters.redis_tls import tls_of
from service.contract.errors import LedgerUnavailable
from service.contract.settings import Settings

log = structlog.get_logger(__name__)

#: The command set that the scripts and the broker are written for.
OLDEST = (6, 2)


def connect(settings: Settings) -> redis.Redis:
    """A client that never waits for ever: a silent Redis is an error within seconds."""
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        decode_responses=True,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        socket_keepalive=True,
        health_check_interval=10,
        **tls_of(settings),
        # Once more for a connection that a restart cut; not for silence, which only lasts longer.
        retry=Retry(ConstantBackoff(0.05), 1, supported_errors=(redis.ConnectionError,)),
    )


@contextmanager
def answered() -> Iterator[None]:
    """Redis's own errors become LedgerUnavailable; the message never holds the URL, which may hold a password."""
    try:
        yield
    except redis.RedisError as error:
        raise LedgerUnavailable(f"Redis does not answer: {error}") from error


def check_redis(client: redis.Redis) -> None:
    """Refuse a Redis that cannot be used, warn of one that may lose jobs' state.

    Raises LedgerUnavailable saying which, where and what to set.
    """
    place = _place(client)
    try:
        info: dict[str, Any] = client.info()
    except redis.RedisError as error:
        raise LedgerUnavailable(_advice(place, error)) from error
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise LedgerUnavailable(
            f"Redis at {place} is {info['redis_version']}; 6.2 or later is needed"
        )
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        log.warning(
            "redis_may_evict",
            where=place,
            maxmemory_policy=policy,
            why="an evicted queue binding or job silently loses messages; set maxmemory-policy noeviction",
        )


def _advice(place: str, error: redis.RedisError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = str(error.__context__ or error).partition("certificate verify failed: ")[2]
        return (
            f"Redis at {place} is not believed ({reason or error}); set LATENTMILL_REDIS_CA_FILE to "
            "the authority that signed its certificate"
        )
    return f"Redis at {place} does not answer ({error}); start it or set LATENTMILL_REDIS_URL"


def _place(client: redis.Redis) -> str:
    kwargs = client.connection_pool.connection_kwargs
    return str(kwargs.get("path") or f"{kwargs.get('host')}:{kwargs.get('port')}")
