"""TLS to Redis, the same for the ledger and for Celery: the server's certificate is always checked."""

import ssl
from pathlib import Path
from typing import Any

from service.contract.errors import SettingsInvalid
from service.contract.settings import Settings


def tls_of(settings: Settings) -> dict[str, Any]:
    """Arguments of redis-py's and kombu's connections; none for `redis://`.

    Left alone kombu checks no certificate of a `rediss://` server. Raises SettingsInvalid for files of no use.
    """
    files = (settings.redis_ca_file, settings.redis_cert_file, settings.redis_key_file)
    if not settings.redis_url.get_secret_value().startswith("rediss://"):
        if any(files):
            raise SettingsInvalid(
                "certificates are for rediss://, and LATENTMILL_REDIS_URL is none"
            )
        return {}
    _try_files(*files)
    named = zip(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"), files, strict=True)
    return {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    } | {name: str(file) for name, file in named if file is not None}


def _try_files(ca: Path | None, certificate: Path | None, key: Path | None) -> None:
    """Here and now: at the first connection nobody would know which file was meant."""
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise SettingsInvalid(_useless("CA", ca, error)) from error
    if key is not None and certificate is None:
        raise SettingsInvalid(
            "LATENTMILL_REDIS_CERT_FILE: missing beside LATENTMILL_REDIS_KEY_FILE"
        )
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise SettingsInvalid(_useless("CERT", certificate, error)) from error


def _useless(what: str, file: Path, error: OSError) -> str:
    why = "holds no usable PEM" if isinstance(error, ssl.SSLError) else error.strerror
    return f"LATENTMILL_REDIS_{what}_FILE: {file}: {why}"
