"""`latentmill proof | check-image | signing-key`: that one image is a job's, and who says so."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.connection import Url, connect
from service.contract.errors import ProofWrong, SettingsInvalid
from service.contract.settings import SweepSettings, load_settings
from service.contract.signing import (
    new_private_key,
    public_key_of,
    read_private_key,
    read_public_key,
)

_PANEL = "Jobs on a server"


def _checked(key: str | None) -> str | None:
    try:
        if key is not None:
            read_public_key(key)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return key


PublicKey = Annotated[
    str | None,
    typer.Option(
        callback=_checked, help="`lmpk_…` of who has to stand for it; without one nobody has to."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(rich_help_panel=_PANEL)(proof)
    app.command("check-image", rich_help_panel=_PANEL)(check_image)
    app.command("signing-key", rich_help_panel="Roles of a deployment")(signing_key)


def proof(
    what: Annotated[
        str, typer.Argument(metavar="FOLDER|ID", help="A downloaded folder, or a job's id.")
    ],
    index: Annotated[int, typer.Argument(min=0, help="Which of the job's images.")],
    url: Url = None,
) -> None:
    """Print the proof that an image is the job's: a few hundred bytes that stand for all its archives.

    Example: `latentmill proof 0b1c… 17 > proof.json`
    """
    from latentmill.proof import proof_from_folder

    if Path(what).exists():
        found = proof_from_folder(Path(what), index)
    else:
        with connect(url) as client:
            found = client.proof(what, index)
    print(found.model_dump_json(indent=1))


def check_image(
    image: Annotated[Path, typer.Argument(help="A PNG file.")],
    proof: Annotated[Path, typer.Argument(help="What `latentmill proof` printed.")],
    public_key: PublicKey = None,
) -> None:
    """Tell which image of which job a PNG file is, by its proof alone: no server, no archive. Exit code 1 if it is not.

    By its pixels, so that a file which was packed anew is still the image.
    Example: `latentmill check-image 000000000017.png proof.json --public-key lmpk_…`
    """
    from latentmill.proof import check_image, read_proof

    told = read_proof(proof)
    try:
        check_image(image.read_bytes(), told, public_key=public_key)
    except ProofWrong as error:
        print(f"{image}: {error.detail}")
        raise typer.Exit(1) from error
    request, label = told.statement.request, told.label
    what = f"{request.decoder}@{request.digest[:12]}…" + (f" label {label}" if label else "")
    print(f"{image}: image {told.index} of job {told.statement.id}, {what}, seed {request.seed}")
    print(
        "signed with that key" if public_key else "by whom is not known: no --public-key was given"
    )


def signing_key(
    public: Annotated[
        bool, typer.Option("--public", help="The public key of LATENTMILL_SIGNING_KEY instead.")
    ] = False,
) -> None:
    """Make a key that signs manifests; give it to API, workers and sweep as LATENTMILL_SIGNING_KEY.

    `latentmill signing-key --public` prints what others check with. Both are kept by you alone; nothing is stored here.
    Example: `export LATENTMILL_SIGNING_KEY=$(latentmill signing-key)`
    """
    if not public:
        print(new_private_key())
        return
    key = load_settings(SweepSettings).signing_key
    if key is None:
        raise SettingsInvalid(
            "LATENTMILL_SIGNING_KEY is not set: `latentmill signing-key` makes one"
        )
    print(public_key_of(read_private_key(key.get_secret_value())))
