"""The folder of a one-machine stack, and the lock that keeps a second stack out of it."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import StartRefused

#: Longer than a killed stack needs to die: its Redis holds the lock too and gets to end in order.
_LOCK_PATIENCE_S = 3.0


@dataclass(frozen=True)
class DataDir:
    """Where everything of one stack lies. Readable for its owner alone: it holds a password."""

    root: Path

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def broker_url(self) -> Path:
        """The file that tells Celery producers the broker's address while the stack runs."""
        return self.root / "broker-url"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the folder, made if need be; yields the lock's descriptor.

        Raises StartRefused when another stack holds it.
        The lock goes with the last process that has the descriptor open, however that process ends.
        """
        self._make()
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.objects, self.redis, self.logs):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StartRefused(
                f"cannot use {self.root} as data folder: {error.strerror}"
            ) from error

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while not _try_lock(descriptor):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace")
            if _is_alive(holder) or time.monotonic() > deadline:
                raise StartRefused(
                    f"{self.root} is in use by another `latentmill up` ({holder or 'starting'}): "
                    "stop that one, or give this one another --data-dir"
                )
            time.sleep(0.1)
        tell_holder(descriptor, f"process {os.getpid()}")


def tell_holder(descriptor: int, who: str) -> None:
    """Write into the lock who holds it, for whoever is refused."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, who.encode(), 0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(holder: str) -> bool:
    """Whether the process that the lock tells of still runs, so that waiting for it is in vain."""
    found = re.match(r"process ([1-9]\d{0,8})", holder)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except OSError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
