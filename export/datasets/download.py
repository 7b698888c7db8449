"""Files from public mirrors, believed only by their checksums: whole or not at all, and resumable."""

import fcntl
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

TIMEOUT_S = 60.0
#: More than any of the files has: a server that never stops sending is left.
MOST_BYTES = 1 << 30
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Checksum:
    """A file's sha256, or that of what is inside where mirrors gzip it in their own ways."""

    sha256: str
    uncompressed: bool = False

    def verify(self, path: Path) -> None:
        """Raises DataSetInvalid with what was found."""
        try:
            found = self._of(path)
        except (OSError, EOFError, zlib.error) as error:
            raise DataSetInvalid(f"not a gzip file ({error})") from error
        if found != self.sha256:
            raise DataSetInvalid(f"sha256 {found[:12]}…, wanted {self.sha256[:12]}…")

    def _of(self, path: Path) -> str:
        digest, read = hashlib.sha256(), 0
        with gzip.open(path) if self.uncompressed else path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
                if (read := read + len(block)) > MOST_BYTES:
                    raise DataSetInvalid("unpacks to far more than it should")
        return digest.hexdigest()


def fetch(
    folder: Path, files: Mapping[str, Checksum], mirrors: Sequence[str], *, console: Console
) -> Path:
    """Download what `folder` lacks. Raises DataSetInvalid with what each mirror answered."""
    if not _missing(folder, files):
        return folder
    try:
        with _locked(folder, console):
            # Asked again: whoever held the lock may have brought them.
            for name in _missing(folder, files):
                _download(folder / name, files[name], mirrors, console)
    except OSError as error:
        raise DataSetInvalid(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def _missing(folder: Path, files: Mapping[str, Checksum]) -> list[str]:
    return [name for name in files if not (folder / name).exists()]


@contextmanager
def _locked(folder: Path, console: Console) -> Iterator[None]:
    """One process at a time, so that two trainings started together do not mix their bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another process downloads into {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(path: Path, checksum: Checksum, mirrors: Sequence[str], console: Console) -> None:
    failures = []
    for mirror in mirrors:
        # Another mirror's file may have other bytes, so each has its own unfinished one.
        partial = path.with_name(f".{path.name}.{sha256_hex(mirror.encode())[:8]}.partial")
        try:
            _receive(f"{mirror}/{path.name}", partial, console)
            _verify(partial, checksum)
        except httpx.HTTPError as error:
            failures.append(f"{mirror}: {_in_one_line(error)}")
        except DataSetInvalid as error:
            failures.append(f"{mirror}: {error}")
        else:
            partial.replace(path)
            return
    raise DataSetInvalid(
        f"{path.name} could not be downloaded ({'; '.join(failures)}); "
        f"put it into {path.parent}, or give a folder by --data"
    )


def _verify(partial: Path, checksum: Checksum) -> None:
    try:
        checksum.verify(partial)
    except DataSetInvalid:
        partial.unlink()
        raise


def _receive(url: str, partial: Path, console: Console) -> None:
    """Append what `partial` lacks, if the server can begin in the middle (RFC 9110, 14.2)."""
    had = partial.stat().st_size if partial.exists() else 0
    # Stored bytes are wanted, not what a server may make of them on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT_S
    ) as response:
        if had and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # All was there already; the checksum tells.
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        _store(response, partial, had if resumed else 0, console)


def _store(response: httpx.Response, partial: Path, had: int, console: Console) -> None:
    told = response.headers.get("Content-Length", "")
    with partial.open("ab" if had else "wb") as file, _bar(console) as bar:
        task = bar.add_task(
            f"Downloading {response.url.path.rpartition('/')[2]} from {response.url.host}",
            total=had + int(told) if told.isdecimal() else None,
            completed=had,
        )
        # As it arrives: a chunk size would hold bytes back, and lose them with the connection.
        for block in response.iter_raw():
            if (had := had + len(block)) > MOST_BYTES:
                raise DataSetInvalid("sends far more than the file should have")
            file.write(block)
            bar.advance(task, len(block))


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console.quiet,
    )


def _in_one_line(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"answered {error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__
