"""How a webhook proves where it comes from: the symmetric scheme of Standard Webhooks 1.0.0 (standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"
#: The specification's bounds of a secret.
_LEAST_BYTES, _MOST_BYTES = 24, 64
#: One to sign with, and the one before it while receivers change over.
_MOST_SECRETS = 2


def read_secrets(text: str) -> tuple[bytes, ...]:
    """The keys of one or two secrets separated by a comma. Raises ValueError, which never quotes a secret."""
    secrets = [part.strip() for part in text.split(",") if part.strip()]
    if not 1 <= len(secrets) <= _MOST_SECRETS:
        raise ValueError("one secret, or two separated by a comma while one replaces the other")
    return tuple(_key(secret) for secret in secrets)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"a secret is {_PREFIX} and then {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64: "
            f'echo "{_PREFIX}$(openssl rand -base64 32)" makes one'
        )
    return key


def spelled(key: bytes) -> str:
    """The key as a receiver is given it."""
    return _PREFIX + base64.b64encode(key).decode()


def derived(keys: Sequence[bytes], owner: str) -> tuple[bytes, ...]:
    """Keys of one owner's own, so that no owner's receiver can sign for another's."""
    name = f"latentmill webhooks of {owner}".encode()
    return tuple(hmac.new(key, name, hashlib.sha256).digest() for key in keys)


def signed(
    keys: Sequence[bytes], *, event_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt: a receiver that knows any of the keys can check it."""
    content = f"{event_id}.{timestamp_s}.".encode() + body
    signatures = (
        base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys
    )
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
