"""Where compiled kernels are kept, so that no job waits for a compiler."""

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def keep_compiled_code() -> None:
    """Let Numba cache by the content of all kernels.

    Numba looks at the age of one file only, and would go on using a kernel whose inlined callee in another file has
    changed. Besides, an installed package's folder need not be writable.
    """
    numba.config.CACHE_DIR = str(_folder() / _digest())


def _folder() -> Path:
    """`NUMBA_CACHE_DIR` when set, as an image sets it; else the user's cache, or the machine's scratch folder."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given) / "latentmill"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "latentmill" / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / f"latentmill-kernels-{os.getuid()}"
    return folder


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
