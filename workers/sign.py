"""The sign of life: a file that a health check reads, for a hundredth of what asking the process would cost."""

import time
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class Sign:
    """Written at every beat, gone when the process ends in good order. Without a path nothing is written.

    It holds the monotonic clock, which is one for all processes of a machine and jumps with nobody's hands.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def give(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_name(self._path.name + ".draft")
        try:
            draft.write_text(f"{time.monotonic()}\n")
            draft.replace(self._path)
        except OSError as error:
            # The check will say no, and nothing else is the worse for it.
            log.warning("heartbeat_file_not_written", reason=str(error))

    def end(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
