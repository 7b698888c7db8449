"""Where compiled kernels are kept, so that no job waits for a compiler."""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of the processes that share the folder only one compiles; the others find it done."""
    folder = compiled_code()
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
    scratch = _private_folder() / folder.name
    if folder.is_dir() and not scratch.exists():
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
    return scratch


def _private_folder() -> Path:
    """Numba runs what it finds there, so nobody else may have put it there."""
    folder = Path(tempfile.gettempdir()) / f"latentmill-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if is_ours and not found.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="latentmill-kernels-"))


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
