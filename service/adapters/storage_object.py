"""An object as every store tells it, and the rules of keys and metadata that all keep."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from service.contract.value import Value

#: The longest key that S3 takes, less room for the prefix in a storage URL.
MAX_KEY_BYTES = 900
#: The longest file name on the usual file systems, so that a folder holds whatever a bucket holds.
MAX_NAME_BYTES = 255
#: A control character in a key ends URLs and log lines early; one store or another refuses each.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: HTTP header names ignore case and HTTP header values carry ASCII, so every store is held to that.
_METADATA_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_METADATA_VALUE = re.compile(r"[!-~](?:[ -~]{0,1022}[!-~])?")


class StoredObject(Value):
    """One object as a listing or a head request tells it; listings leave `metadata` empty."""

    key: str
    size_bytes: int
    modified_at: datetime
    metadata: Mapping[str, str] = {}


@dataclass(frozen=True)
class Leftover:
    """What a writer that died left in the store and no listing shows; `remove` may be called twice."""

    name: str
    size_bytes: int
    remove: Callable[[], object]


def check_key(key: str) -> None:
    """Raise ValueError unless the key is a path of plain names that every store can hold."""
    names = key.split("/")
    if any(_is_unsafe(name) for name in names) or len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"not an object key: {key[:200]!r}")


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless keys can start like this; empty and half a name are fine."""
    *folders, last = prefix.split("/")
    if any(_is_unsafe(name) for name in folders) or _CONTROL.search(last):
        raise ValueError(f"not a prefix of object keys: {prefix[:200]!r}")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise ValueError unless names are lower-case ASCII and values one line of ASCII."""
    for name, value in metadata.items():
        if not (_METADATA_NAME.fullmatch(name) and _METADATA_VALUE.fullmatch(value)):
            raise ValueError(f"metadata that not every store can hold: {name!r}: {value[:200]!r}")


def _is_unsafe(name: str) -> bool:
    too_long = len(name.encode()) > MAX_NAME_BYTES
    return name in {"", ".", ".."} or too_long or _CONTROL.search(name) is not None
