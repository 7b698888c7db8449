"""One process of the stack: what to run, where it writes, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.local import leash

#: A log above this is put aside as `.1` when its process starts: a disk must not fill over months.
_LOG_LIMIT_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Child:
    """What to start. `command` begins with an absolute path; `environment` is all of it.

    `orphan_signal` is what Linux sends when the supervisor dies in any way. Children of a lower
    `stop_rank` are stopped first; each gets `grace_s` seconds to end by itself. `keeps_open` are
    descriptors that it inherits.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(repr=False)
    stdin: bytes = field(default=b"", repr=False)
    folder: Path | None = None
    orphan_signal: signal.Signals = signal.SIGKILL
    stop_rank: int = 0
    grace_s: float = 5.0
    keeps_open: tuple[int, ...] = ()


class Run:
    """A child while it lives, and its last words when it has died."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.started_at = time.monotonic()
        _put_aside(child.log)
        self._log_start = child.log.stat().st_size if child.log.exists() else 0
        self._process = _spawn(child)
        self._is_swept = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self.started_at

    def signal(self, number: signal.Signals) -> None:
        """Signal the child and everything it started: each child leads its own session.

        After its death one more signal reaches what it left behind; then the number may be taken.
        """
        if self._is_swept:
            return
        self._is_swept = not self.is_alive
        # macOS says PermissionError for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def epitaph(self) -> str:
        """How it ended, in one line: status, last line of its log, and where the rest is."""
        code = self._process.poll()
        if code is None:
            return f"{self.child.name} is running"
        how = (
            f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        return f"{self.child.name} {how}: {self._last_line()} (log: {self.child.log})"

    def _last_line(self) -> str:
        with self.child.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - 4096))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "it wrote nothing")


def _spawn(child: Child) -> "subprocess.Popen[bytes]":
    on_leash = [
        sys.executable,
        "-I",
        "-S",
        leash.__file__,
        str(os.getpid()),
        str(int(child.orphan_signal)),
    ]
    with child.log.open("ab") as log:
        process = subprocess.Popen(
            [*on_leash, *child.command],
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=child.keeps_open,
        )
    _feed(process, child.stdin)
    return process


def _feed(process: "subprocess.Popen[bytes]", text: bytes) -> None:
    assert process.stdin is not None
    # A child that died first is no matter here: whoever watches it tells why.
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(text)


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
