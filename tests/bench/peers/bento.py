"""What one serves with BentoML: a task that decodes and writes one archive, called until all are there.

As many worker processes as cores, each with a session on one thread, and BentoML's own client.
"""

from watch import Watch

# isort: split
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bentoml
from decoder import Decoder
from errand import Errand, read_errand
from pictures import check_zips, write_zip

CORES = os.cpu_count() or 1
#: Connections fall to workers by chance. Two tasks under way for each, and tasks half as long as elsewhere, keep
#: them evenly busy most of the time; with more at once, 11 of 13 fell to one worker of two.
UNDER_WAY = 2 * CORES
ARCHIVE_SIZE = 8192
#: Every poll takes the interpreter from an encoder.
POLL_S = 0.25
READY_WITHIN_S = 120
#: How the workers, which import this file anew, get to know the errand.
ERRAND = "PEER_ERRAND"


@bentoml.service(workers=CORES, traffic={"timeout": 3600})
class Drawer:
    """The service: each worker process makes its own instance."""

    def __init__(self) -> None:
        self.errand = Errand.from_json(os.environ[ERRAND])
        self.decoder = Decoder(self.errand, threads=1)

    @bentoml.task
    def archive(self, start: int, stop: int) -> str:
        return write_zip(self.errand, start, self.decoder.draw(start, stop)).name


@contextmanager
def served(errand: Errand) -> Iterator[str]:
    """The service's URL; it may not be ready yet."""
    port = free_port()
    serve = ["serve", "bento:Drawer", "--working-dir", str(Path(__file__).parent), "--quiet"]
    with tempfile.TemporaryDirectory() as home:
        told = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "1", ERRAND: errand.to_json()}
        process = subprocess.Popen(
            [sys.executable, "-m", "bentoml", *serve, "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | told,
            stdout=sys.stderr,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def finish(url: str, archives: Iterator[tuple[int, int]]) -> None:
    """Has one archive made after the other, until there is none left to take."""
    for start, stop in archives:
        # A connection sticks to its worker, so each task has a client of its own. An asynchronous one: in
        # BentoML 1.4.39 `submit` of the other ends in an AttributeError.
        async with bentoml.AsyncHTTPClient(url) as client:
            task = await client.archive.submit(start=start, stop=stop)
            while (status := (await task.get_status()).value) == "in_progress":
                await asyncio.sleep(POLL_S)
            if status != "completed":
                raise SystemExit(f"a task of BentoML is {status}")


async def finish_all(url: str, errand: Errand) -> None:
    archives = errand.ranges(ARCHIVE_SIZE)
    await asyncio.gather(*(finish(url, archives) for _ in range(UNDER_WAY)))


def main() -> None:
    errand, watch = read_errand(), Watch()
    with served(errand) as url:
        bentoml.SyncHTTPClient(url, server_ready_timeout=READY_WITHIN_S).close()
        watch.start()
        asyncio.run(finish_all(url, errand))
        watch.stop()
    watch.tell("bento", errand, ["bentoml", "onnxruntime", "pillow"], check_zips(errand))


if __name__ == "__main__":
    main()
