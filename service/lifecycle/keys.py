"""API keys in storage: made, listed, revoked. A token is told once, by whoever made it."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.errors import ObjectMissing, TooManyKeys, UnknownKey
from service.contract.key import LIVE_KEYS_PER_OWNER, Key, Scope, id_of, sha256_of
from service.contract.limits import LimitOverrides

log = structlog.get_logger(__name__)


class NewKey(NamedTuple):
    """A key and its token, which is stored nowhere."""

    token: str
    key: Key


def create_key(
    storage: Storage,
    owner: str,
    scopes: Collection[Scope],
    *,
    now: datetime,
    expires_at: datetime | None = None,
    limits: LimitOverrides | None = None,
) -> NewKey:
    """Make a key. Raises TooManyKeys when the owner has two live ones."""
    live = [key.id for key in list_keys(storage) if key.owner == owner and key.is_live(now)]
    if len(live) >= LIVE_KEYS_PER_OWNER:
        raise TooManyKeys(
            f"{owner} has {len(live)} live keys, {' and '.join(live)}; revoke one of them first"
        )
    token = f"lm_{secrets.token_urlsafe(32)}"
    sha256 = sha256_of(token)
    key = Key(
        id=id_of(sha256),
        sha256=sha256,
        owner=owner,
        scopes=tuple(scope for scope in Scope if scope in scopes),
        created_at=now,
        expires_at=expires_at,
        limits=limits or LimitOverrides(),
    )
    storage.create(layout.key(sha256), key.to_json())
    return NewKey(token, key)


def list_keys(storage: Storage) -> list[Key]:
    """All keys, also revoked and expired ones, by owner and age; a broken record is logged and left out."""
    names = [entry.key for entry in storage.list(layout.KEYS)]
    keys = [key for name in names if (key := _read(storage, name)) is not None]
    return sorted(keys, key=lambda key: (key.owner, key.created_at, key.id))


def revoke_key(storage: Storage, key_id: str, *, now: datetime) -> Key:
    """Revoke for good; a key that is revoked already stays as it is. Raises UnknownKey."""
    found = [key for key in list_keys(storage) if key.id == key_id]
    if not found:
        raise UnknownKey(f"no key {key_id!r}; `latentmill keys list` names them all")
    for key in found:
        if key.revoked_at is None:
            revoked = key.model_copy(update={"revoked_at": now})
            storage.put(layout.key(key.sha256), revoked.to_json())
    # Two keys share twelve digits once in 2**48; then both go.
    return found[0].model_copy(update={"revoked_at": found[0].revoked_at or now})


def find_key(storage: Storage, sha256: str) -> Key | None:
    """The key whose token has this digest, live or not; None for an unknown one."""
    return _read(storage, layout.key(sha256))


def any_keys(storage: Storage) -> bool:
    """Whether a key was ever made. Revoking the last one must not open the door to everybody."""
    return next(iter(storage.list(layout.KEYS)), None) is not None


def _read(storage: Storage, name: str) -> Key | None:
    try:
        return Key.model_validate_json(storage.get(name))
    except ObjectMissing:
        return None
    except ValidationError:
        log.error("key_unreadable", object=name)
        return None
