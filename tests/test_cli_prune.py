"""`latentmill prune`, as an operator runs it."""

import os
import signal
import time
from pathlib import Path

import pytest

from service.adapters.storage_folder import FolderStorage
from service.contract import layout
from tests.fixtures.commands import here, start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a shard of last year and one of today."""
    storage = FolderStorage(tmp_path / "objects")
    for letter in "ab":
        storage.put(layout.recipe_prefix(letter * 64) + "000000000000-000000001024.zip", b"bytes")
    (old,) = (tmp_path / "objects").glob("shards/a*/*")
    os.utime(old, (time.time() - 365 * 86_400,) * 2)
    return tmp_path / "objects"


def shards(folder: Path) -> list[str]:
    return sorted(path.parent.name[0] for path in folder.glob("shards/*/*"))


def test_a_rehearsal_tells_and_deletes_nothing(folder: Path) -> None:
    """Objects and bytes by kind; then the real thing says the same and does it; what is young stays."""
    told = here("prune", "--older-than", "30", "--dry-run", storage_url=folder.as_uri())
    assert told.stdout.splitlines() == [
        "would delete 1 expired shards, 5 bytes",
        "would delete 1 objects, 5 bytes",
    ]
    assert (told.returncode, shards(folder)) == (0, ["a", "b"])
    done = here("prune", storage_url=folder.as_uri(), retention_days="30")
    assert done.stdout == told.stdout.replace("would delete", "deleted")
    assert (done.returncode, shards(folder)) == (0, ["b"])


def test_without_a_retention_shards_stay(folder: Path) -> None:
    """And the command says what to set."""
    done = here("prune", storage_url=folder.as_uri())
    assert (done.returncode, shards(folder)) == (0, ["a", "b"])
    assert "LATENTMILL_RETENTION_DAYS" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("--older-than", "-1"), {}, "--older-than"),
        (("--older-than", "soon"), {}, "--older-than"),
        (("--older-than", "inf"), {}, "RETENTION_DAYS"),
        (("--older-than", "nan"), {}, "--older-than"),
        ((), {"retention_days": "0"}, "LATENTMILL_RETENTION_DAYS"),
        ((), {"storage_url": "file:///no/such/folder"}, "LATENTMILL_STORAGE_URL"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    folder: Path, arguments: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    """Exit code 2, nothing deleted, no folder made."""
    done = here("prune", *arguments, **({"storage_url": folder.as_uri()} | settings))
    assert (done.returncode, said in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
    assert shards(folder) == ["a", "b"]
    assert not Path("/no/such").exists()


def test_an_interrupted_prune_tells_what_it_did(folder: Path) -> None:
    """Ctrl-C in the middle: exit code 130, no traceback, and exactly what is gone is counted."""
    for number in range(2000):
        recipe = folder / "shards" / f"{number:064x}"
        recipe.mkdir()
        (recipe / "000000000000-000000001024.zip").write_bytes(b"bytes")
    with start("prune", "--older-than", "0", storage_url=folder.as_uri()) as process:
        while len(list((folder / "shards").iterdir())) > 1990:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in stderr) == (130, False)
    told = int(stdout.splitlines()[-1].split()[1].replace(",", ""))
    assert 0 < told == 2002 - len(shards(folder)) < 2002
