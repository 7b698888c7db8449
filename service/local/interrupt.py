"""Ctrl-C and SIGTERM, heard where it is safe.

Python raises KeyboardInterrupt wherever the main thread is. Inside an import, which is where a start spends its time,
that can leave the interpreter's import lock held for ever: the process then neither works nor ends.
"""

import signal
import threading

_asked = threading.Event()


def listen() -> None:
    """From now on the first signal is kept until `check`; a second one interrupts at once."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _hear)


def _hear(*_: object) -> None:
    if _asked.is_set():
        raise KeyboardInterrupt
    _asked.set()


def check() -> None:
    """Raises KeyboardInterrupt when somebody asked this process to end. Call it in every loop that waits."""
    if _asked.is_set():
        raise KeyboardInterrupt
