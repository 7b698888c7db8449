"""What a file may cost while it is checked: bytes, seconds and memory."""

import ctypes
import resource
import signal
import sys

from pydantic import Field

from service.contract.card import LARGEST_ONNX_BYTES
from service.contract.value import Value

#: Ten times the largest decoder of images up to 1024x1024 that we know of; workers hold it in memory.
DEFAULT_SIZE_BYTES = 256 * 2**20

#: For libraries and the layers of a batch, as a worker would need them; and how often the file lies
#: in memory: as bytes, as message, as copies of ONNX and ONNX Runtime, packed, in three sessions.
_MEMORY_BYTES, _COPIES = 8 * 2**30, 12

#: Option of Linux: which signal this process gets when its parent has died (prctl(2)).
_PR_SET_PDEATHSIG = 1

#: Exit code of a process that was refused memory in Python.
OUT_OF_MEMORY = 12


class Limits(Value):
    """Where checking ends. `time_s` is wall-clock time for all checks together."""

    size_bytes: int = Field(default=DEFAULT_SIZE_BYTES, ge=1, le=LARGEST_ONNX_BYTES)
    time_s: int = Field(default=300, ge=1)

    def memory_bytes(self, file_bytes: int) -> int:
        """Address space for checking a file of this size."""
        return _MEMORY_BYTES + _COPIES * file_bytes

    def bind_this_process(self, file_bytes: int) -> None:
        """Let the kernel end this process at its time or with its parent, and refuse it memory.

        The alarm needs nobody to watch it: it ends a hang inside a library too. Memory is limited on
        Linux; macOS maps more than any limit before a program begins.
        """
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(self.time_s)
        _lower(resource.RLIMIT_CORE, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
            _lower(resource.RLIMIT_AS, self.memory_bytes(file_bytes))


def _lower(kind: int, limit: int) -> None:
    """Set a limit, or keep a stricter one that stands."""
    soft, hard = resource.getrlimit(kind)
    stricter = [bound for bound in (limit, soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min(stricter), hard))
