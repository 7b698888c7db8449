"""`latentmill webhook-secret`: what a receiver checks webhooks with."""

from typing import Annotated

import typer

from service.contract.errors import SettingsInvalid
from service.contract.settings import SweepSettings, load_settings
from service.contract.webhook_signature import spelled


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("webhook-secret", rich_help_panel="Roles of a deployment")(webhook_secret)


def webhook_secret(
    owner: Annotated[
        str | None, typer.Argument(help="Whose; left out where nobody needs an API key.")
    ] = None,
) -> None:
    """Print the secret that an owner's receivers check webhooks with, made from LATENTMILL_WEBHOOK_SECRET.

    Each owner has its own, so that no owner's receiver can sign for another's.
    Example: `latentmill webhook-secret ann`
    """
    settings = load_settings(SweepSettings)
    if not settings.webhook_keys:
        raise SettingsInvalid(
            "LATENTMILL_WEBHOOK_SECRET is not set, so webhooks are off; "
            'echo "whsec_$(openssl rand -base64 32)" makes one'
        )
    from service.lifecycle.courier import signing_keys
    from service.lifecycle.submit import ANONYMOUS

    newest, *_ = signing_keys(settings.webhook_keys, owner or ANONYMOUS)
    print(spelled(newest))
