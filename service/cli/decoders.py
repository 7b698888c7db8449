"""`latentmill decoders`: what a server can draw."""

import json

import typer

from service.cli.connection import AsJson, Url, connect
from service.cli.table import print_table
from service.cli.words import decoder_row


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Jobs on a server")(decoders)


def decoders(as_json: AsJson = False, url: Url = None) -> None:
    """List the decoders that a server draws with."""
    with connect(url) as client:
        cards = client.decoders()
    if as_json:
        print(json.dumps([card.model_dump(mode="json") for card in cards], indent=1))
        return
    print_table(("name", "labels", "image", "version", "description"), map(decoder_row, cards))
