"""The data folder of a one-machine stack and its lock."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.contract.errors import StartRefused
from service.local.data_dir import DataDir, tell_holder, write_private

HOLD = """
import sys, time, subprocess
from pathlib import Path
from service.local.data_dir import DataDir
with DataDir(Path(sys.argv[1])).locked() as lock:
    heir = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"], pass_fds=[lock])
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_holder_is_refused_in_one_line(tmp_path: Path) -> None:
    """Who holds the folder and what to do is said; it can be taken when the first lets go."""
    folder = DataDir(tmp_path / "data")
    with folder.locked() as lock:
        tell_holder(lock, f"process {os.getpid()}, http://127.0.0.1:8000")
        started = time.monotonic()
        with pytest.raises(StartRefused) as refused, folder.locked():
            pass
        assert time.monotonic() - started < 1
        assert f"process {os.getpid()}, http://127.0.0.1:8000" in refused.value.detail
        assert "--data-dir" in refused.value.detail
        assert "\n" not in refused.value.detail
    with folder.locked():
        assert folder.objects.is_dir()


def test_the_lock_of_a_killed_holder_waits_for_its_redis(tmp_path: Path) -> None:
    """The lock outlives a killed holder for as long as a child that inherited it, and no longer."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    started = time.monotonic()
    with DataDir(tmp_path).locked():
        assert time.monotonic() - started > 0.3


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    """A path that is a file is refused with its name, not with a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartRefused, match="file"), DataDir(tmp_path / "file" / "below").locked():
        pass


def test_private_files_are_private_from_the_start(tmp_path: Path) -> None:
    """The broker's address, which holds a password, is readable for its owner only."""
    write_private(tmp_path / "secret", "redis://:password@127.0.0.1")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
