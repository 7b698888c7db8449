"""The supervisor with real processes: nothing outlives it, what dies comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from service.contract.errors import ChildDied
from service.contract.settings import child_environment
from service.local import supervisor as supervising
from service.local.child import Child
from service.local.supervisor import Supervisor
from tests.fixtures.processes import DEAF, eventually, is_gone

SLEEP = "import time; time.sleep(600)"
#: A child that has a child of its own, which is deaf too.
PARENT = f"import subprocess as s, sys; s.run([sys.executable, '-c', {DEAF!r}])"


def python(folder: Path, name: str, code: str, **fields: object) -> Child:
    return Child(
        name=name,
        command=(sys.executable, "-c", code),
        log=folder / f"{name}.log",
        environment=child_environment(),
        **fields,  # type: ignore[arg-type]
    )


def watched_until(supervisor: Supervisor, fact: Callable[[], bool], *, within_s: float) -> bool:
    def look() -> bool:
        supervisor.watch()
        return fact()

    return eventually(look, within_s=within_s)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_of_a_killed_supervisor_are_gone_within_two_seconds(tmp_path: Path) -> None:
    """kill -9 of the supervisor leaves nothing, not a child that ignores SIGTERM, nor its Redis."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fixtures.killed_supervisor", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        assert not any(is_gone(pid) for pid in pids)
        process.kill()
    assert eventually(lambda: all(is_gone(pid) for pid in pids), within_s=2)


def test_a_dead_child_is_started_again(tmp_path: Path) -> None:
    """A killed child comes back as another process under the same name."""
    supervisor = Supervisor()
    try:
        supervisor.start(python(tmp_path, "sleeper", SLEEP))
        first = supervisor.pids["sleeper"]
        os.kill(first, signal.SIGKILL)
        assert watched_until(supervisor, lambda: supervisor.pids["sleeper"] != first, within_s=5)
        assert supervisor.failure is None
    finally:
        supervisor.stop()


def test_a_child_that_keeps_dying_ends_the_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash loop ends, in a message with the child's name and its last line."""
    monkeypatch.setattr(supervising, "_FIRST_BACKOFF_S", 0.02)
    supervisor = Supervisor()
    try:
        supervisor.start(python(tmp_path, "crasher", "raise SystemExit('the disk is on fire')"))
        assert watched_until(supervisor, lambda: supervisor.failure is not None, within_s=20)
        assert supervisor.failure is not None
        assert "crasher ended with code 1: the disk is on fire" in supervisor.failure
    finally:
        supervisor.stop()


def test_a_child_that_dies_at_start_is_told_with_its_last_line(tmp_path: Path) -> None:
    """What the child said last is in the error; what an earlier run wrote to the log is not."""
    (tmp_path / "mute.log").write_text("words of another day\n")
    supervisor = Supervisor()
    try:
        supervisor.start(python(tmp_path, "mute", "raise SystemExit(3)"))
        with pytest.raises(
            ChildDied, match=r"mute ended with code 3: it wrote nothing \(log: .*mute\.log\)"
        ):
            eventually(lambda: supervisor.check_alive() is not None, within_s=5)
    finally:
        supervisor.stop()


def test_stop_reaches_grandchildren_that_ignore_sigterm(tmp_path: Path) -> None:
    """After stop neither a child nor what it started is left, whatever they do with SIGTERM."""
    supervisor = Supervisor()
    supervisor.start(python(tmp_path, "parent", PARENT, grace_s=0.5))
    assert eventually(lambda: "deaf" in (tmp_path / "parent.log").read_text(), within_s=5)
    family = [
        supervisor.pids["parent"],
        *(c.pid for c in psutil.Process(supervisor.pids["parent"]).children()),
    ]
    assert len(family) == 2
    supervisor.stop()
    assert eventually(lambda: all(is_gone(pid) for pid in family), within_s=2)


def test_lower_ranks_are_stopped_first(tmp_path: Path) -> None:
    """A child of rank 1 sees no signal before every child of rank 0 has ended."""
    slow = (
        "import signal, time, sys\n"
        "def end(*_):\n    time.sleep({pause}); print(time.monotonic(), flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    supervisor = Supervisor()
    supervisor.start(python(tmp_path, "last", slow.format(pause=0), stop_rank=1))
    supervisor.start(python(tmp_path, "first", slow.format(pause=0.4), stop_rank=0))
    logs = [tmp_path / "first.log", tmp_path / "last.log"]
    assert eventually(lambda: all("up" in log.read_text() for log in logs), within_s=5)
    supervisor.stop()
    first, last = (float(log.read_text().split()[-1]) for log in logs)
    assert first < last


def test_nothing_is_started_after_stop(tmp_path: Path) -> None:
    """A watcher that looks once more after stop does not bring children back."""
    supervisor = Supervisor()
    supervisor.start(python(tmp_path, "sleeper", SLEEP))
    supervisor.stop()
    gone = supervisor.pids["sleeper"]
    assert not watched_until(supervisor, lambda: supervisor.pids["sleeper"] != gone, within_s=0.6)
