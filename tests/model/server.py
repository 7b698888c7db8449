"""A Redis-compatible server of the simulator's own: on a socket file, without a disk."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from tests.fixtures.redis import server_binary


@contextmanager
def own_server() -> Iterator[str]:
    """Yields its URL."""
    with TemporaryDirectory(prefix="lm-model-") as folder:
        socket = Path(folder) / "redis"
        flags = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([server_binary(), *flags], stdout=subprocess.DEVNULL)
        try:
            yield _answering(f"unix://{socket}")
        finally:
            process.kill()
            process.wait()


def _answering(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        for _ in range(500):
            try:
                client.ping()
            except (redis.ConnectionError, redis.BusyLoadingError):
                time.sleep(0.02)
            else:
                return url
    raise RuntimeError(f"{server_binary()} did not start")
