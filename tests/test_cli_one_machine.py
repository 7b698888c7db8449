"""`latentmill up | demo | doctor` as a user runs them: one command, and nothing left when it ends."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from latentmill import Client, verify_folder
from PIL import Image

from service.local.ports import free_port
from tests.fixtures.commands import latentmill, start
from tests.fixtures.processes import eventually, is_gone

pytestmark = pytest.mark.slow


@contextmanager
def up(
    folder: Path, port: int | str = 0, **settings: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A running `latentmill up` and its URL; killed if the test did not stop it."""
    with start(
        "up", "--port", str(port), "--data-dir", str(folder), "--workers", "1", **settings
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            found = re.search(
                r"starting .* 1 workers.*\n.*ready at (http://127\.0\.0\.1:\d+)", said
            )
            assert found, said + (process.stderr.read() if process.stderr else "")
            yield process, found[1]
        finally:
            process.kill()


def family(process: "subprocess.Popen[str]") -> list[int]:
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def test_up_serves_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Ready in one line with the bundled decoder; Ctrl-C ends it with code 0 and without a process."""
    with up(tmp_path) as (process, url):
        with Client(url) as client:
            job = client.wait(client.submit("mnist", 3, count=20, seed=1))
            assert client.arrays(job).images.shape == (20, 28, 28, 1)
        children = family(process)
        assert len(children) == 4
        assert (tmp_path / "broker-url").read_text().startswith("redis://:")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert eventually(lambda: all(is_gone(pid) for pid in children), within_s=1)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not (tmp_path / "broker-url").exists()


def test_a_second_up_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    """kill -9 of `up` takes everything with it within 2 s; another `up` there still knows the jobs."""
    with up(tmp_path) as (process, url):
        with Client(url) as client:
            job = client.wait(client.submit("mnist", 3, count=20, seed=1))
        second = latentmill("up", "--port", "0", "--data-dir", str(tmp_path))
        assert (second.returncode, second.stderr.count("\n")) == (2, 1)
        assert f"process {process.pid}, {url}" in second.stderr
        children = family(process)
        process.kill()
        assert eventually(lambda: all(is_gone(pid) for pid in children), within_s=2)
    with up(tmp_path) as (process, url), Client(url) as client:
        assert client.job(job.id).status == "completed"
        assert client.submit("mnist", 3, count=20, seed=1).progress.samples_total == 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_killed_child_is_replaced(tmp_path: Path) -> None:
    """Redis, API, sweep and worker may be killed one after the other: jobs go on being made."""
    with up(tmp_path) as (process, url), Client(url, patience_s=20) as client:
        client.decoders()
        before = family(process)
        for pid in before:
            psutil.Process(pid).kill()
        job = client.submit("mnist", 7, count=20)
        assert client.wait(job, timeout_s=60).status == "completed"
        assert len(family(process)) == 4
        assert not set(family(process)) & set(before)
        # A second Ctrl-C does not wait for the grace of a worker that hangs.
        hanging = next(c for c in psutil.Process(process.pid).children() if "worker" in c.cmdline())
        hanging.suspend()
        process.send_signal(signal.SIGINT)
        assert not eventually(lambda: process.poll() is not None, within_s=1.5)
        process.send_signal(signal.SIGINT)
        process.wait(4)
        assert eventually(lambda: is_gone(hanging.pid), within_s=1)


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    """Nothing is started when somebody else listens there, and the way out is told."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        port = listener.getsockname()[1]
        refused = latentmill("up", "--port", str(port), "--data-dir", str(tmp_path))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert f"port {port} on 127.0.0.1 is taken" in refused.stderr


def test_a_redis_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """With LATENTMILL_REDIS_URL no server is brought; one that does not answer is named, and nothing is left."""
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    started = time.monotonic()
    refused = latentmill("up", "--port", "0", "--data-dir", str(tmp_path), redis_url=redis_url)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "LATENTMILL_REDIS_URL" in refused.stderr
    assert time.monotonic() - started < 30
    assert not list((tmp_path / "redis").iterdir())


def test_the_demo_shows_everything_and_cleans_up(tmp_path: Path) -> None:
    """Images over HTTP, verified, with a contact sheet and figures; no process and no data folder is left."""
    arguments = ("demo", "--count", "1500", "--label", "7", "--workers", "2")
    with start(*arguments, cwd=tmp_path, redis_url="redis://not.used:1/0") as process:
        assert process.stdout is not None
        children: set[int] = set()
        assert eventually(
            lambda: len(children.update(family(process)) or children) >= 5, within_s=30
        )
        assert process.wait(60) == 0, process.stderr.read() if process.stderr else ""
        told = process.stdout.read()
    assert "verified 1,500 images in 2 archives" in told
    assert re.search(r"1,500 images in [\d.]+ s: [\d,]+ images/s", told)
    assert re.search(r"bare decoder on 2 cores: [\d,]+ images/s; ratio [\d.]+", told)
    assert verify_folder(tmp_path / "latentmill-demo").samples == 1500
    with Image.open(tmp_path / "latentmill-demo" / "contact-sheet.png") as sheet:
        assert sheet.size == (298, 298)
    assert eventually(lambda: all(is_gone(pid) for pid in children), within_s=1)


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while it starts ends it with 130, and every process it had started."""
    with start("demo", "--workers", "1", cwd=tmp_path) as process:
        assert eventually(lambda: len(family(process)) >= 3, within_s=30)
        children = family(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        told = process.stderr.read()
        assert "Traceback" not in told, told
    assert eventually(lambda: all(is_gone(pid) for pid in children), within_s=1)


def test_the_doctor_tells_what_is_wrong(tmp_path: Path) -> None:
    """A healthy machine is exit code 0; a Redis that does not answer is a fault with advice."""
    healthy = latentmill("doctor", url=f"http://127.0.0.1:{free_port()}")
    assert healthy.returncode == 0, healthy.stdout
    assert [line.split()[0] for line in healthy.stdout.splitlines()] == ["ok"] * 5
    ill = latentmill("doctor", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert ill.returncode == 1
    assert re.search(r"^FAULT +Redis +.*LATENTMILL_REDIS_URL", ill.stdout, re.MULTILINE)
