"""Run by HEALTHCHECK inside a role's container: exits 0 when the role does its work, else says why not.

Imports nothing but the standard library, and little of that: it runs every few seconds.
"""

import os
import socket
import sys
import time

#: Seconds between two beats of a role that is alive: a worker beats every two, also while Redis is away and each look
#: at it takes seconds; the sweep beats at every turn, and ends itself when one takes five minutes.
LONGEST_S = {"worker": 30.0, "sweep": 330.0}


def answers(port: int) -> bool:
    """The API answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(64).split(b" ")[1:2] == [b"200"]


def beats(path: str, longest_s: float) -> bool:
    """The role is warm, works or waits for work, and wrote that down a moment ago."""
    with open(path) as file:  # noqa: PTH123 - pathlib takes longer to import than all of this to run
        age_s = time.monotonic() - float(file.read())
    # From before the machine started: somebody else's sign.
    return 0 <= age_s < longest_s


def main(role: str) -> str | None:
    """Why the role is not healthy; None when it is."""
    try:
        if role == "api":
            healthy = answers(int(os.environ.get("LATENTMILL_PORT", "8000")))
        else:
            healthy = beats(os.environ["LATENTMILL_HEARTBEAT_FILE"], LONGEST_S[role])
    except (OSError, ValueError, KeyError) as error:
        return f"{role}: {error}"
    return None if healthy else f"{role}: no sign of life"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
