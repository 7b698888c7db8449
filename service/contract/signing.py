"""Ed25519 keys (RFC 8032) as settings and people spell them: a prefix, then 32 bytes in base64."""

import base64
import secrets
from typing import Any

PRIVATE, PUBLIC = "lmsk_", "lmpk_"
_KEY_BYTES = 32


def new_private_key() -> str:
    return _spelled(PRIVATE, secrets.token_bytes(_KEY_BYTES))


def read_private_key(text: str) -> bytes:
    """Raises ValueError, which never quotes the key."""
    return _bytes_of(text, PRIVATE, "`latentmill signing-key` makes one")


def public_key_of(private: bytes) -> str:
    return _spelled(PUBLIC, _private(private).public_key().public_bytes_raw())


def read_public_key(text: str) -> bytes:
    """Raises ValueError."""
    return _bytes_of(text, PUBLIC, "`latentmill signing-key --public` tells it")


def sign(private: bytes, data: bytes) -> str:
    """The signature in base64; the same key and data always give the same one."""
    return base64.b64encode(_private(private).sign(data)).decode()


def is_signature(public_key: str, signature: str, data: bytes) -> bool:
    """Whether the holder of the key signed this. Raises ValueError for what is no public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(read_public_key(public_key))
    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    # ValueError: not base64, or no ASCII at all.
    except (InvalidSignature, ValueError):
        return False
    return True


def _private(private: bytes) -> Any:
    # Loaded by those who sign or check alone.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private)


def _spelled(prefix: str, key: bytes) -> str:
    return prefix + base64.b64encode(key).decode()


def _bytes_of(text: str, prefix: str, hint: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(prefix) or len(key) != _KEY_BYTES:
        raise ValueError(f"a key is {prefix} and then {_KEY_BYTES} bytes in base64: {hint}")
    return key
