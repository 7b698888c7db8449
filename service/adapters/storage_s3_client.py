"""How this process talks to S3: signatures, timeouts, retries. Nothing here touches the network."""

from typing import TYPE_CHECKING

import boto3.session
from botocore.config import Config

from service.contract.errors import StorageUnavailable
from service.contract.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: One for each thread that may be uploading, sixteen racing at start-up among them.
_CONNECTIONS = 64


def make_client(settings: Settings, endpoint_url: str | None) -> "S3Client":
    """A client for all threads. Raises StorageUnavailable when the endpoint is not a URL."""
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    # A session of its own: boto3's shared one must not be used by two threads at once.
    session = boto3.session.Session(
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.s3_region,
    )
    try:
        return session.client("s3", endpoint_url=endpoint_url, config=_config(settings))
    except ValueError as error:
        raise StorageUnavailable(
            "an S3 endpoint is not a URL like http://host:port: set LATENTMILL_S3_ENDPOINT_URL and "
            "LATENTMILL_S3_PUBLIC_ENDPOINT_URL"
        ) from error


def _config(settings: Settings) -> Config:
    style = settings.s3_addressing_style
    if style == "auto" and settings.s3_endpoint_url:
        style = "path"
    return Config(
        signature_version="s3v4",  # boto3 still signs URLs with version 2 unless told.
        s3={"addressing_style": style},
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=3,
        read_timeout=settings.s3_timeout_s,
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        # boto3's own CRC32 breaks several stores; every write carries a SHA-256 instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
