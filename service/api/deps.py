"""What the routes are given: the real things behind them."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from service.api.failures import Failures
from service.api.traffic import Traffic
from service.contract.settings import ApiSettings
from service.lifecycle.keyring import Keyring
from service.lifecycle.parts import Parts


def _checkers() -> Executor:
    return ThreadPoolExecutor(4, thread_name_prefix="health")


def _waiters() -> Executor:
    return ThreadPoolExecutor(16, thread_name_prefix="image")


@dataclass(frozen=True)
class Office:
    """Everything behind the HTTP face, chosen once in `create_app`.

    `checkers` run health checks, `waiters` wait for workers that draw images: other routes keep their threads.
    """

    parts: Parts
    settings: ApiSettings
    keyring: Keyring
    failures: Failures = field(default_factory=Failures)
    traffic: Traffic = field(default_factory=Traffic)
    checkers: Executor = field(default_factory=_checkers)
    waiters: Executor = field(default_factory=_waiters)


def _office(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


TheOffice = Annotated[Office, Depends(_office)]
