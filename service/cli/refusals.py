"""What a command refuses before it works for minutes."""

from importlib.util import find_spec
from pathlib import Path

from service.contract.errors import StartRefused


def need_export_extra() -> None:
    """Refuse to train, export or evaluate without the libraries that the extra brings."""
    missing = [name for name in ("torch", "onnx", "onnxscript", "sklearn") if not find_spec(name)]
    if missing:
        raise StartRefused(
            f"training and export need {', '.join(missing)}: pip install 'latentmill[export]'"
        )


def check_writable(path: Path) -> None:
    """Refuse now what would fail after minutes of work."""
    from export.files import write_whole

    probe = path.with_name(f".{path.name}.probe")
    new_folders = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        write_whole(probe, b"")
        probe.unlink()
        for folder in new_folders:
            folder.rmdir()
    except OSError as error:
        raise StartRefused(f"{path} cannot be written: {error.strerror or error}") from error
