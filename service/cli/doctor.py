"""`latentmill doctor`: looks for what is missing on this machine."""

import typer

from service.cli.connection import Url
from service.contract.settings import ClientSettings, load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="One machine")(doctor)


def doctor(url: Url = None) -> None:
    """Check Python, ONNX Runtime, Redis, storage and server, and say what to do about faults."""
    from service.local.doctor import examine

    findings = examine(load_settings(ClientSettings, url=url).url)
    for finding in findings:
        print(f"{finding.mark:<5} {finding.what:<14} {finding.detail}")
    raise typer.Exit(0 if all(finding.is_fine for finding in findings) else 1)
