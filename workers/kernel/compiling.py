"""Where compiled kernels are kept, so that no job waits for a compiler."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numba


def keep_compiled_code() -> None:
    """Let Numba cache by the content of all kernels.

    Numba looks at the age of one file only, and would go on using a kernel whose inlined callee in another file has
    changed. Besides, an installed package's folder need not be writable.
    """
    numba.config.CACHE_DIR = str(_writable(_folder() / _digest()))


def compiled_code() -> Path:
    """The folder that holds the compiled code of these kernels."""
    return Path(numba.config.CACHE_DIR)


def _folder() -> Path:
    """Numba's own folder when `NUMBA_CACHE_DIR` names one, as in an image; else the user's cache."""
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / "latentmill"
    return Path("~/.cache/latentmill/kernels").expanduser()


def _writable(folder: Path) -> Path:
    """The folder, or a copy of it in the machine's scratch folder: Numba does not read where it cannot write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _scratch(folder)
    return folder if os.access(folder, os.W_OK) else _scratch(folder)


def _scratch(folder: Path) -> Path:
    scratch = Path(tempfile.gettempdir()) / f"latentmill-kernels-{os.getuid()}" / folder.name
    if folder.is_dir() and not scratch.exists():
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
    return scratch


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
