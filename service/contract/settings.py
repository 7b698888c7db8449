"""The only reader of the environment: one frozen class per role, every field `LATENTMILL_<NAME>`."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contract.errors import SettingsInvalid
from service.contract.limits import MOST, Limits
from service.contract.request import MAX_BODY_BYTES
from service.contract.signing import read_private_key
from service.contract.webhook_signature import read_secrets
from service.contract.webhook_url import read_hosts

_S3_TIMEOUT = (
    "Seconds that S3 may be silent before it is asked again, three times at most; 5 in the API, "
    "where a client waits."
)


def _read_or_none(secret: SecretStr | None, read: Callable[[str], object]) -> SecretStr | None:
    """The secret, which `read` understands. A compose file passes what is not set as an empty string."""
    if secret is None or not secret.get_secret_value():
        return None
    read(secret.get_secret_value())
    return secret


class Settings(BaseSettings):
    """What every role needs: where Redis and storage are."""

    model_config = SettingsConfigDict(env_prefix="LATENTMILL_", frozen=True, extra="ignore")

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey 6.2 or later; `rediss://` for TLS. Broker and ledger share it.",
    )
    redis_ca_file: Path | None = Field(
        None,
        description="PEM file with the authorities that may have signed the certificate of a `rediss://` server; "
        "unset: the machine's own. The certificate is always checked.",
    )
    redis_cert_file: Path | None = Field(
        None, description="PEM certificate to show to a `rediss://` server that asks for one."
    )
    redis_key_file: Path | None = Field(None, description="Private key of that certificate.")
    redis_timeout_s: float = Field(
        4.0, gt=0, description="Seconds to wait for one answer of Redis before it counts as away."
    )
    storage_url: str = Field(
        "file:///var/lib/latentmill",
        description="`file:///absolute/path` or `s3://bucket/prefix`. Holds the truth of every job.",
    )
    storage_conditional: Literal["on", "off"] = Field(
        "on",
        description="`off` runs on a store without atomic conditional create; outcomes then rest on Redis.",
    )
    s3_endpoint_url: str | None = Field(
        None, description="S3 endpoint that this process talks to; unset for AWS."
    )
    s3_public_endpoint_url: str | None = Field(
        None,
        description="S3 endpoint put into signed URLs, when clients reach the store by another address.",
    )
    s3_region: str = Field("us-east-1", description="Region used in signatures.")
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto",
        description="`path` for most stores other than AWS; `auto` picks it when an endpoint is set.",
    )
    s3_access_key_id: SecretStr | None = Field(
        None, description="Access key; unset to use the machine's own AWS credentials."
    )
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret of the access key.")
    s3_timeout_s: float = Field(30.0, gt=0, description=_S3_TIMEOUT)
    signing_key: SecretStr | None = Field(
        None,
        description="Ed25519 key that signs manifests, as `latentmill signing-key` makes it; the same for all roles. "
        "Unset: they are not signed.",
    )
    lease_s: float = Field(
        20.0, gt=0, description="Seconds after which a silent worker's shard is handed on."
    )
    queue_lease_s: float = Field(
        30.0,
        gt=0,
        description="Seconds a sent, not yet begun shard is waited for; doubles up to 5 minutes.",
    )
    max_attempts: int = Field(5, ge=1, description="Tries at one shard before its job fails.")
    ledger_ttl_s: float = Field(
        86_400.0,
        gt=0,
        description="Seconds a finished job stays in Redis; afterwards storage answers for it.",
    )
    retention_days: float | None = Field(
        None,
        gt=0,
        le=36_500,
        description="Days after which a shard goes that no job has used since; unset: shards stay for ever.",
    )
    log_format: Literal["text", "json"] = Field("text", description="`json` for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level logged."
    )

    @field_validator("retention_days", mode="before")
    @classmethod
    def _unset(cls, days: object) -> object:
        # A compose file passes what is not set as an empty string.
        return None if days == "" else days

    @property
    def retention(self) -> timedelta | None:
        return None if self.retention_days is None else timedelta(days=self.retention_days)

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError("a Redis URL begins with redis:// or, for TLS, rediss://")
        if "ssl_" in parts.query:
            # ssl_cert_reqs=none would believe anybody.
            raise ValueError("TLS is set by LATENTMILL_REDIS_CA_FILE, not in the URL")
        return url

    @field_validator("storage_url")
    @classmethod
    def _known_storage(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            return url
        if parts.scheme == "s3" and parts.netloc and "@" not in parts.netloc:
            return url
        raise ValueError(
            "a storage URL is file:///absolute/path or s3://bucket/prefix, without keys in it"
        )

    @field_validator("signing_key")
    @classmethod
    def _known_key(cls, key: SecretStr | None) -> SecretStr | None:
        return _read_or_none(key, read_private_key)

    @property
    def private_key(self) -> bytes | None:
        """What manifests are signed with; None when they are not."""
        key = self.signing_key
        return None if key is None else read_private_key(key.get_secret_value())


class WebhookSettings(Settings):
    """Webhooks, for whoever accepts a job and for whoever tells that it has ended."""

    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs webhooks: `whsec_` and 24 to 64 random bytes in base64; two, separated by a comma, while "
        "one replaces the other. Unset: webhooks are off.",
    )
    webhook_allow: str = Field(
        "",
        description="Hosts, as `host` or `host:port` separated by commas, whose webhooks may use http, any port and "
        "private addresses.",
    )

    @field_validator("webhook_secret")
    @classmethod
    def _known_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        return _read_or_none(secret, read_secrets)

    @field_validator("webhook_allow")
    @classmethod
    def _known_hosts(cls, hosts: str) -> str:
        read_hosts(hosts)
        return hosts

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """What webhooks are signed with; empty when they are off."""
        secret = self.webhook_secret
        return () if secret is None else read_secrets(secret.get_secret_value())

    @property
    def webhook_hosts(self) -> frozenset[str] | None:
        """Hosts that the operator trusts; None when webhooks are off."""
        return None if self.webhook_secret is None else read_hosts(self.webhook_allow)


class AcceptingSettings(WebhookSettings):
    """What bounds a job, wherever it is accepted: over HTTP or from a task."""

    max_count: int = Field(
        100_000_000, ge=1, le=MOST, description="Most samples one job may ask for."
    )
    max_active_jobs: int = Field(
        10_000, ge=1, le=MOST, description="Most jobs one owner may have unfinished."
    )
    max_requests_per_minute: int = Field(
        60_000,
        ge=0,
        le=MOST,
        description="Most jobs one owner may ask for in a minute; 0 is no limit.",
    )
    max_queued_samples: int = Field(
        10_000_000_000,
        ge=0,
        le=MOST,
        description="Most samples in all unfinished jobs of one owner together; 0 is no limit.",
    )
    max_samples_per_day: int = Field(
        0,
        ge=0,
        le=MOST,
        description="Most samples one owner may ask for in a day of UTC; 0 is no limit.",
    )

    @property
    def limits(self) -> Limits:
        """Of every owner whose key sets no others."""
        return Limits.model_validate({name: getattr(self, name) for name in Limits.model_fields})


class ApiSettings(AcceptingSettings):
    """The HTTP API."""

    s3_timeout_s: float = Field(5.0, gt=0, description=_S3_TIMEOUT)
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    allow_anonymous: bool = Field(
        False,
        description="Answer without API keys on an address other than loopback. Compose sets it.",
    )
    max_body_bytes: int = Field(MAX_BODY_BYTES, ge=1024, description="Largest request body.")
    max_connections: int = Field(
        512,
        ge=8,
        le=100_000,
        description="Most connections at once; when all are taken, the one idle longest makes room.",
    )
    signed_url_s: int = Field(900, ge=1, le=900, description="Seconds a signed download URL lives.")


#: Most cores that one worker process makes shards on.
MAX_CORES = 256


def _cores_for(device: str | None) -> int:
    if device != "cuda":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(MAX_CORES, usable)


_HEARTBEAT_FILE: Path | None = Field(
    None,
    description="File for health checks: holds the machine's monotonic clock, written again and again while the "
    "process works or waits for work.",
)


class WorkerSettings(AcceptingSettings):
    """A worker process."""

    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="`cuda` refuses to start when ONNX Runtime silently fell back to the CPU.",
    )
    cores: int = Field(
        default_factory=lambda given: _cores_for(given.get("device")),
        ge=1,
        le=MAX_CORES,
        description="Shards this process makes at once, each on a core of its own. Unset: 1 with `cpu`, "
        "for a process per core is fastest there; every core it may use with `cuda`.",
    )
    slots: int = Field(
        default_factory=lambda given: min(64, 2 * given.get("cores", 1)),
        ge=1,
        le=512,
        description="Shards this process has in hand at once: those that are not made are stored. "
        "Unset: twice the cores, at most 64; each slot holds one archive in memory.",
    )
    decoder_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="ONNX Runtime threads per forward pass; cores x threads = the machine's cores.",
    )
    heartbeat_s: float = Field(
        0.75, gt=0, description="Seconds between lease renewals; bounds how late a cancel is seen."
    )
    audit_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the stored shards that another worker makes again to compare, 0 to 1.",
    )
    shard_timeout_s: float = Field(
        900.0,
        gt=0,
        description="Seconds without progress after which the process ends itself and is restarted.",
    )
    grace_s: float = Field(
        25.0,
        ge=0,
        description="Seconds that a worker told to stop has for the shards in hand; what is not stored by then is "
        "handed to the others. A few less than whoever stops it waits before it kills.",
    )
    heartbeat_file: Path | None = _HEARTBEAT_FILE


class SweepSettings(WebhookSettings):
    """The sweep."""

    heartbeat_file: Path | None = _HEARTBEAT_FILE
    sweep_interval_s: float = Field(
        1.0, gt=0, description="Seconds between looks for work that stopped moving."
    )
    rebuild_interval_s: float = Field(
        30.0, gt=0, description="Seconds between comparisons of storage and Redis."
    )
    webhook_retry_s: float = Field(
        10.0,
        gt=0,
        description="Seconds, more or less, before a webhook is sent again; three times longer after each attempt.",
    )


class ClientSettings(BaseSettings):
    """The command line, when it talks to a server."""

    model_config = SettingsConfigDict(env_prefix="LATENTMILL_", frozen=True, extra="ignore")

    url: str = Field(
        "http://127.0.0.1:8000", description="The server that the command line talks to."
    )
    api_key: SecretStr | None = Field(
        None, description="The API key that the command line sends, where the server asks for one."
    )


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load_settings(role: type[AnySettings], **overrides: object) -> AnySettings:
    """Settings of a role from the environment. Raises SettingsInvalid naming every wrong variable."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return role(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            f"LATENTMILL_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsInvalid("; ".join(faults)) from error


def default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "latentmill"


def child_environment(**settings: object) -> dict[str, str]:
    """This process's environment with some `LATENTMILL_` settings over it, for a child to start with."""
    return os.environ | {
        f"LATENTMILL_{name.upper()}": str(value) for name, value in settings.items()
    }
