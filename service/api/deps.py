"""What the routes are given: the real things, and who is asking."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.contract.settings import ApiSettings
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, Limits


@dataclass(frozen=True)
class Office:
    """Everything behind the HTTP face, chosen once in `create_app`."""

    parts: Parts
    settings: ApiSettings

    @property
    def limits(self) -> Limits:
        return Limits(
            max_count=self.settings.max_count, max_active_jobs=self.settings.max_active_jobs
        )


def _office(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


def _owner() -> str:
    # Until there are keys, everybody who reaches the API is the same one.
    return ANONYMOUS


TheOffice = Annotated[Office, Depends(_office)]
Owner = Annotated[str, Depends(_owner)]
