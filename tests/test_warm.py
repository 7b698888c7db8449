"""Kernels are compiled once: at install, in an image, or when a worker starts; never while a job waits."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.kernel.compiling import compiled_code
from workers.kernel.names import _put_names
from workers.warm import compile_kernels

pytestmark = pytest.mark.slow


def run(*command: str, **environment: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file below, but for the lock, which holds nothing."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `NUMBA_CACHE_DIR` in which every kernel lies; copied, for compiling takes half a minute."""
    compile_kernels()
    folder = tmp_path_factory.mktemp("numba")
    copy = folder / "latentmill" / compiled_code().name
    shutil.copytree(compiled_code(), copy, ignore=shutil.ignore_patterns("*.tmp.*"))
    # Where tests beside this one were compiling too, one may have written over what another had.
    run("service.cli.main", "compile", NUMBA_CACHE_DIR=folder)
    return folder


def test_no_job_waits_for_a_compiler(compiled: Path) -> None:
    """What is kept is loaded, and shards of every format, depth and shape need nothing more."""
    told = json.loads(run("tests.fixtures.compiled", NUMBA_CACHE_DIR=compiled))
    assert "png.put_files" in told["loaded"]
    assert (told["compiled"], told["late"]) == ([], [])


def test_compile_leaves_the_code_where_numba_is_told(compiled: Path, tmp_path: Path) -> None:
    """`latentmill compile` compiles what is missing there, which is all in a new image, and keeps the rest."""
    folder = tmp_path / "numba"
    shutil.copytree(compiled, folder)
    before = files(folder)
    # Numba keeps a folder for each place that the kernels are installed in.
    ours = str(Path(_put_names.stats.cache_path).relative_to(compiled_code().parent))
    missing = [name for name in before if ours in name and "_put_names" in name]
    for name in missing:
        (folder / name).unlink()
    told = run("service.cli.main", "compile", NUMBA_CACHE_DIR=folder)
    after = files(folder)
    assert f"compiled encoders are in {folder}" in told
    assert missing
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == missing


def test_a_folder_that_cannot_be_written_is_copied(compiled: Path, tmp_path: Path) -> None:
    """Another user than the image's builder compiles nothing again, and finds the copy the next time."""
    command = ("tests.fixtures.other_user", str(compiled), "tests.fixtures.compiled")
    before = files(compiled)
    copied: list[Any] = []
    for _ in range(2):
        told = json.loads(run(*command, NUMBA_CACHE_DIR=compiled, TMPDIR=tmp_path))
        assert Path(told["folder"]).is_relative_to(tmp_path)
        assert (told["compiled"], told["late"]) == ([], [])
        copied.append(files(tmp_path))
    assert copied[0] == copied[1]
    assert files(compiled) == before


def test_without_a_folder_the_scratch_folder_serves(tmp_path: Path) -> None:
    """A home that does not exist and cannot be made, as containers have it, keeps no worker from starting."""
    script = "import workers.kernel.compiling as it; print(it.compiled_code())"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"NUMBA_CACHE_DIR": "/proc/nowhere", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(told.stdout.strip()).is_relative_to(tmp_path)
