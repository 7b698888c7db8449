"""Who is asking: the owner that an API key names, or everybody where there are no keys."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.concurrency import run_in_threadpool

from service.api.deps import Office, TheOffice
from service.api.problems import documented
from service.api.refusals import TooManyFailures
from service.contract.errors import KeyNeeded, ScopeMissing
from service.contract.key import TOKEN, Key, Scope
from service.contract.limits import Limits
from service.lifecycle.submit import ANONYMOUS

_bearer = HTTPBearer(
    scheme_name="key",
    bearerFormat="lm_…",
    description="An API key, where the deployment has any; `latentmill keys create` makes one.",
    auto_error=False,
)

#: How every route that asks for a key may refuse.
KEY_REFUSALS = documented(KeyNeeded, ScopeMissing, TooManyFailures)


@dataclass(frozen=True)
class Caller:
    """Whose jobs these are, and what may be asked for."""

    owner: str
    limits: Limits


async def _caller(
    request: Request,
    wanted: SecurityScopes,
    office: TheOffice,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Raises KeyNeeded, ScopeMissing or TooManyFailures; StorageUnavailable where nobody can tell."""
    needed = office.keyring.known_need()
    if needed is None:
        needed = await run_in_threadpool(office.keyring.are_needed)
    if not needed:
        return Caller(ANONYMOUS, office.settings.limits)
    key = await _key(office, credentials, request.client.host if request.client else "")
    for scope in wanted.scopes:
        if Scope(scope) not in key.scopes:
            raise ScopeMissing(f"the API key lacks the scope {scope!r}")
    return Caller(key.owner, key.limits.over(office.settings.limits))


async def _key(
    office: Office, credentials: HTTPAuthorizationCredentials | None, address: str
) -> Key:
    token = credentials.credentials if credentials is not None else ""
    key = office.keyring.remembered(token)
    if key is not None:
        return key
    # A token that worked before is looked up whatever its neighbours behind the same address do.
    wait_s = 0 if office.keyring.has_met(token) else office.failures.wait_s(address)
    if wait_s:
        raise TooManyFailures(wait_s)
    if re.fullmatch(TOKEN, token):
        key = await run_in_threadpool(office.keyring.find, token)
    if key is None:
        office.failures.note(address)
        raise KeyNeeded
    return key


def _with(scope: Scope) -> object:
    return Security(_caller, scopes=[scope.value])


Reader = Annotated[Caller, _with(Scope.READ)]
Submitter = Annotated[Caller, _with(Scope.SUBMIT)]
Administrator = Annotated[Caller, _with(Scope.ADMIN)]
