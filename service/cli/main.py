"""The command line: every role and every client command, `latentmill <command>`."""

import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from service.cli import (
    archives,
    comparing,
    decoders,
    doctor,
    evaluating,
    exporting,
    image,
    jobs,
    keys,
    one_machine,
    proving,
    prune,
    publishing,
    roles,
    samples,
    training,
    webhook_secret,
)
from service.contract.errors import LatentmillError

_EPILOG = """
Start everything on this machine with `latentmill up`, then, in another terminal,
`latentmill submit mnist 3 --count 1000 --seed 42 --download ./threes`.
"""

#: Libraries that a plain `pip install latentmill` leaves out, and the extra that brings each.
_EXTRAS = {"onnxruntime": "cpu", "torch": "export", "onnx": "publish"}

app = typer.Typer(
    name="latentmill",
    help="Turns (label, count, seed) into archives of generated images: same request, same bytes.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (
    one_machine,
    jobs,
    archives,
    image,
    proving,
    decoders,
    doctor,
    training,
    exporting,
    evaluating,
    comparing,
    publishing,
    samples,
    roles,
    keys,
    prune,
    webhook_secret,
):
    room.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"latentmill {version('latentmill')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


#: Typer carries its click inside and exports only this class's children.
_UsageError: Any = typer.BadParameter.__base__


def main() -> None:
    """Run one command. What a caller can act on is one line on stderr and exit code 2."""
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except _UsageError as error:
        _refuse(f"{error.format_message()} (see `{error.ctx.command_path} --help`)")
    except LatentmillError as error:
        _refuse(error.detail)
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        _refuse(f"{error.name} is missing: pip install 'latentmill[{_EXTRAS[error.name]}]'")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        _let_go_of_stdout()


def _refuse(reason: str) -> None:
    print("latentmill:", " ".join(reason.split()), file=sys.stderr)
    sys.exit(2)


def _let_go_of_stdout() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has gone; the interpreter would complain about the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
