"""What every client command shares: the server's URL, a job's id, JSON output, and the client."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.contract.settings import ClientSettings, load_settings

if TYPE_CHECKING:
    from latentmill import Client

Url = Annotated[
    str | None,
    typer.Option("--url", help="The server; LATENTMILL_URL or http://127.0.0.1:8000 if left out."),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def connect(url: str | None) -> "Client":
    """A client of the named server. Raises SettingsInvalid for something that is no URL, or no key."""
    from latentmill import Client

    settings = load_settings(ClientSettings, url=url)
    key = settings.api_key
    return Client(settings.url, api_key=key.get_secret_value() if key else None)
