"""The leash: starts a command that the kernel ends together with the process that asked for it.

Run by path, as `python -I -S leash.py PARENT_PID SIGNAL COMMAND…`: it imports nothing of Latentmill
and becomes the command. A program of its own needs no Python code between fork and exec, where
threads would make that unsafe.
"""

import os
import signal
import sys

#: `prctl` option 1 of Linux; the wish outlives exec (prctl(2)).
PR_SET_PDEATHSIG = 1


def main(parent_pid: int, signal_number: int, command: list[str]) -> None:
    """Become `command`, to get the signal when the thread that started this process is gone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
    # A parent that died before the call above sends no signal any more.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
