"""`latentmill keys create | list | revoke`: API keys, in the storage that the deployment uses."""

import json
import re
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.connection import AsJson
from service.cli.table import print_table
from service.contract.errors import SettingsInvalid
from service.contract.key import KEY_ID, OWNER, Key, Scope
from service.contract.limits import MOST, LimitOverrides
from service.contract.settings import Settings, load_settings

if TYPE_CHECKING:
    from service.adapters.storage import Storage

#: A key that lives longer than this is one that never expires.
_MOST_DAYS = 36_500

_Limit = Annotated[int | None, typer.Option(min=0, max=MOST, help="0: no limit.")]
_AtLeastOne = Annotated[int | None, typer.Option(min=1, max=MOST)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    keys = typer.Typer(
        help="Make, list and revoke API keys in the storage that LATENTMILL_STORAGE_URL names.",
    )
    for command in (create, revoke):
        keys.command()(command)
    keys.command("list")(list_all)
    app.add_typer(keys, name="keys", rich_help_panel="Roles of a deployment")


def create(
    owner: Annotated[
        str, typer.Argument(help="Whose jobs it is for: a-z 0-9 _ . - and at most 63 of them.")
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it allows; give it once for each. Left out: submit and read."),
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=_MOST_DAYS, help="Left out, it never expires.")
    ] = None,
    max_count: _AtLeastOne = None,
    max_active_jobs: _AtLeastOne = None,
    max_requests_per_minute: _Limit = None,
    max_queued_samples: _Limit = None,
    max_samples_per_day: _Limit = None,
) -> None:
    """Make a key and print its token: once, for it is stored nowhere.

    With the first key the API asks everybody for one, within seconds. An owner has at most two live keys, so that
    one can replace the other. Limits that are left out are the deployment's.

    Example: `latentmill keys create ann --scope submit --scope read --expires-in-days 90`
    """
    _check(
        owner, OWNER, "an owner's name is made of a-z 0-9 _ . - and begins with a letter or digit"
    )
    from service.lifecycle.keys import create_key
    from service.lifecycle.parts import now

    limits = LimitOverrides(
        max_count=max_count,
        max_active_jobs=max_active_jobs,
        max_requests_per_minute=max_requests_per_minute,
        max_queued_samples=max_queued_samples,
        max_samples_per_day=max_samples_per_day,
    )
    made_at = now()
    expires_at = made_at + timedelta(days=expires_in_days) if expires_in_days else None
    token, key = create_key(
        _storage(),
        owner,
        scope or (Scope.SUBMIT, Scope.READ),
        now=made_at,
        expires_at=expires_at,
        limits=limits,
    )
    print(
        f"key {key.id} of {key.owner}: {_scopes(key)}; its token is told now only", file=sys.stderr
    )
    print(token)


def list_all(as_json: AsJson = False) -> None:
    """List all keys, also those that no longer work.

    Example: `latentmill keys list --json`
    """
    from service.lifecycle.keys import list_keys
    from service.lifecycle.parts import now

    keys, moment = list_keys(_storage()), now()
    if as_json:
        print(json.dumps([key.model_dump(mode="json") for key in keys], indent=1))
        return
    print_table(("key", "owner", "scopes", "created", "state"), (_row(key, moment) for key in keys))


def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` says.")],
) -> None:
    """Revoke a key for good; running APIs refuse it within seconds."""
    _check(
        key, KEY_ID, "a key's id is 12 hexadecimal digits; `latentmill keys list` names them all"
    )
    from service.lifecycle.keys import revoke_key
    from service.lifecycle.parts import now

    revoked = revoke_key(_storage(), key, now=now())
    print(f"key {revoked.id} of {revoked.owner} is revoked")


def _check(given: str, pattern: str, told: str) -> None:
    # Not quoted back: somebody may have given a token.
    if not re.fullmatch(pattern, given):
        raise SettingsInvalid(told)


def _storage() -> "Storage":
    from service.adapters.storage import open_storage

    return open_storage(load_settings(Settings))


def _row(key: Key, now: datetime) -> tuple[str, str, str, str, str]:
    return key.id, key.owner, _scopes(key), _day(key.created_at), _state(key, now)


def _scopes(key: Key) -> str:
    return " ".join(key.scopes)


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    if key.expires_at is None:
        return "live"
    return f"{'expires' if key.is_live(now) else 'expired'} {_day(key.expires_at)}"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
