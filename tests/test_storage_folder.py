"""How a folder keeps the promises of a storage: through crashes, full disks and odd trees."""

import errno
import fcntl
import mmap
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.storage import Storage
from service.adapters.storage_folder import BOOKKEEPING, FolderStorage
from service.adapters.storage_folder_files import DRAFT_MAX_AGE_S, LARGE
from service.contract.errors import StorageUnavailable
from tests.fixtures import killed_writers as writers
from tests.fixtures.killed_writers import KEY, forks, state

OLD = (b"old", {"version": "old"})
NEW = (b"new", {"version": "new"})
O_DIRECT = getattr(os, "O_DIRECT", 0)
BARE: tuple[bytes, dict[str, str]] = (b"bare", {})


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    return {"storage_url": (tmp_path / "storage").as_uri()}


def drafts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "storage" / BOOKKEEPING / "drafts").iterdir())


def prepare(storage: Storage, before: object) -> None:
    storage.delete(KEY)
    if before is OLD:
        storage.put(KEY, OLD[0], metadata=OLD[1])
    elif before is BARE:
        storage.put(KEY, BARE[0])


@pytest.mark.parametrize(
    ("before", "act", "after"),
    [
        (None, writers.create_new, NEW),
        (None, writers.put_new, NEW),
        (OLD, writers.put_new, NEW),
        (OLD, writers.put_bare, BARE),
        (BARE, writers.put_new, NEW),
        (OLD, writers.delete, None),
    ],
)
def test_a_kill_between_any_two_system_calls_leaves_before_or_after(
    folder_storage: FolderStorage,
    place: dict[str, str],
    before: object,
    act: Callable[[Storage], None],
    after: object,
) -> None:
    """Bytes and metadata are both old or both new, and the next writer finds nothing in his way."""
    context, seen = forks(), []
    for call in range(1, 100):
        prepare(folder_storage, before)
        writer = context.Process(target=writers.die_before, args=(call, place, act))
        writer.start()
        writer.join()
        seen.append(state(folder_storage))
        assert seen[-1] in (before, after)
        writers.put_bare(folder_storage)
        assert state(folder_storage) == BARE
        if writer.exitcode == 0:
            break
        assert writer.exitcode == -signal.SIGKILL
    # The kills fell on both sides of the change, so they fell around it.
    assert (seen[0], seen[-1]) == (before, after)
    assert seen.count(after) > 1
    assert len(seen) > 5


def test_one_of_many_processes_wins(folder_storage: FolderStorage, place: dict[str, str]) -> None:
    """Locks and names hold between processes too: 16 create at once, one does, and it stays."""
    context = forks()
    start, winners = context.Barrier(16), context.Queue()
    racers = [
        context.Process(target=writers.create_at_once, args=(place, number, start, winners))
        for number in range(16)
    ]
    for racer in racers:
        racer.start()
    winner = winners.get(timeout=60)
    for racer in racers:
        racer.join()
    assert winners.empty()
    assert state(folder_storage) == writers.version(winner)


@pytest.mark.parametrize("size", [1_000_000, LARGE + 1_000_000])
def test_a_full_disk_is_said_and_leaves_nothing(
    folder_storage: FolderStorage, tmp_path: Path, size: int
) -> None:
    """The old object stands, the error says where, and the half-written draft is removed."""
    folder_storage.put(KEY, OLD[0], metadata=OLD[1])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageUnavailable, match="File too large") as refused:
            folder_storage.put(KEY, bytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path / "storage") in str(refused.value)
    assert isinstance(refused.value.__cause__, OSError)
    assert state(folder_storage) == OLD
    assert drafts(tmp_path) == []


def in_memory(size: int, *, offset: int) -> memoryview:
    """Bytes that begin so many behind a page's first."""
    view = memoryview(mmap.mmap(-1, offset + size))[offset:]
    view[:] = np.random.default_rng(size).bytes(size)
    return view


@pytest.mark.parametrize("offset", [0, 1, 512])
@pytest.mark.parametrize("more", [-1, 0, 1, 4095, 4096, 2 * LARGE + 12_345])
def test_a_large_object_of_any_size_from_anywhere(
    folder_storage: FolderStorage, offset: int, more: int
) -> None:
    """Past the cache as far as pages are whole and lie on pages, else as usual: the bytes are the same."""
    data = in_memory(LARGE + more, offset=offset)
    folder_storage.create(KEY, data)
    assert folder_storage.get(KEY) == bytes(data)
    assert folder_storage.head(KEY).size_bytes == len(data)


class Writes:
    """`os.write` that fails first with these errors, and remembers which calls were to bypass the cache."""

    def __init__(self, *errors: int) -> None:
        self._write, self._errors = os.write, list(errors)
        self.direct: list[bool] = []

    def __call__(self, descriptor: int, data: memoryview) -> int:
        self.direct.append(bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & O_DIRECT))
        if self._errors:
            number = self._errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self._write(descriptor, data)


@pytest.mark.skipif(not O_DIRECT, reason="Linux alone has the flag")
def test_whole_pages_bypass_the_cache_and_the_rest_does_not(
    folder_storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flag is gone before the odd bytes at the end are written."""
    monkeypatch.setattr(os, "write", writes := Writes())
    data = in_memory(LARGE + 100, offset=0)
    folder_storage.put(KEY, data)
    assert folder_storage.get(KEY) == bytes(data)
    if not writes.direct[0]:
        pytest.skip("the file system of the test's folder knows no direct writes")
    assert writes.direct == [True, False]


def test_a_file_system_without_direct_writes_is_written_as_usual(
    folder_storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some take the flag and refuse the write."""
    monkeypatch.setattr(os, "write", writes := Writes(errno.EINVAL))
    data = in_memory(LARGE + 100, offset=0)
    folder_storage.put(KEY, data)
    assert folder_storage.get(KEY) == bytes(data)
    assert writes.direct[1:] == [False]


@pytest.mark.parametrize("tried", [(), (errno.EINVAL,)])
def test_a_disk_that_fills_up_under_a_large_object(
    folder_storage: FolderStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tried: tuple[int, ...],
) -> None:
    """It is said of either way to write, and nothing is left."""
    monkeypatch.setattr(os, "write", Writes(*tried, errno.ENOSPC))
    with pytest.raises(StorageUnavailable, match="No space left"):
        folder_storage.put(KEY, in_memory(LARGE, offset=0))
    assert list(folder_storage.list("")) == []
    assert drafts(tmp_path) == []


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path, below: str) -> None:
    """The message names the folder and the setting."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="LATENTMILL_STORAGE_URL") as refused:
        FolderStorage(f"{tmp_path}/file{below}")
    assert f"{tmp_path}/file" in str(refused.value)


def test_a_copied_folder_keeps_its_metadata(folder_storage: FolderStorage, tmp_path: Path) -> None:
    """A restored backup has other inode numbers and times, and tells the same of every object."""
    folder_storage.create(KEY, OLD[0], metadata=OLD[1])
    folder_storage.put(KEY, NEW[0], metadata=NEW[1])
    shutil.copytree(tmp_path / "storage", tmp_path / "copy", copy_function=shutil.copyfile)
    assert state(FolderStorage(tmp_path / "copy")) == NEW


def test_drafts_of_the_dead_are_swept_and_those_of_the_living_are_not(
    folder_storage: FolderStorage, tmp_path: Path
) -> None:
    """Opening the folder removes what is too old to be a write in progress."""
    folder = tmp_path / "storage" / BOOKKEEPING / "drafts"
    for name, age_s in (("dead", DRAFT_MAX_AGE_S + 60), ("living", DRAFT_MAX_AGE_S - 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age_s,) * 2)
    FolderStorage(tmp_path / "storage")
    assert [draft.name for draft in drafts(tmp_path)] == ["living"]


def test_bookkeeping_is_neither_listed_nor_reached(folder_storage: FolderStorage) -> None:
    """The folder's own files are no objects, by any method."""
    folder_storage.put("a", b"", metadata={"one": "1"})
    assert [found.key for found in folder_storage.list("")] == ["a"]
    assert list(folder_storage.list(BOOKKEEPING)) == []
    assert list(folder_storage.list(f"{BOOKKEEPING}/")) == []
    with pytest.raises(ValueError, match="own"):
        folder_storage.get(f"{BOOKKEEPING}/metadata/a")


def test_deletion_leaves_no_empty_folders(folder_storage: FolderStorage, tmp_path: Path) -> None:
    """A million finished jobs do not leave a million folders, of objects or of metadata."""
    folder_storage.put("jobs/one/deep/a", b"", metadata={"one": "1"})
    folder_storage.put("jobs/two", b"", metadata={"one": "1"})
    folder_storage.delete("jobs/one/deep/a")
    left = {path.relative_to(tmp_path / "storage") for path in tmp_path.rglob("jobs/**/*")}
    assert {str(path) for path in left} == {"jobs/two", f"{BOOKKEEPING}/metadata/jobs/two"}


def test_writers_and_deleters_of_one_folder_do_not_trip(folder_storage: FolderStorage) -> None:
    """A folder removed because it was empty is made again by who writes into it at that moment."""
    errors: list[Exception] = []

    def churn(name: str) -> None:
        try:
            for _ in range(60):
                folder_storage.put(f"jobs/one/{name}", b"x", metadata={"one": "1"})
                folder_storage.delete(f"jobs/one/{name}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=churn, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(folder_storage.list("")) == []


#: Names that sort on both sides of the slash, and nest.
_KEYS = st.sets(st.text("a-/.0", min_size=1, max_size=6), max_size=12)


@settings(max_examples=40)
@given(names=_KEYS, prefix=st.text("a-/.0", max_size=4), after=st.text("a-/.0", max_size=4))
def test_a_listing_is_a_filtered_sorted_set(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], prefix: str, after: str
) -> None:
    """Whatever the tree, prefix and start: those keys, in the order of their bytes."""
    storage = FolderStorage(tmp_path_factory.mktemp("listing"))
    stored = set()
    for name in sorted(names):
        if any(name.startswith(f"{other}/") for other in stored):
            continue  # A folder of keys cannot be a key.
        try:
            storage.put(name, b"")
        except ValueError:
            continue
        stored.add(name)
    wanted = sorted(name for name in stored if name.startswith(prefix) and name > after)
    try:
        listed = [found.key for found in storage.list(prefix, after=after)]
    except ValueError:
        assert set(prefix.split("/")[:-1]) & {"", ".", ".."}
        return
    assert listed == wanted


def test_drafts_that_die_later_are_leftovers(tmp_path: Path) -> None:
    """A store that stays open for months tells them too, an hour after they were begun."""
    storage = FolderStorage(tmp_path / "storage")
    (tmp_path / "storage" / BOOKKEEPING / "drafts" / "1-dead").write_bytes(b"half")
    now = datetime.now(UTC)
    assert list(storage.leftovers(now=now)) == []
    (found,) = storage.leftovers(now=now + timedelta(hours=1, seconds=1))
    assert (found.name, found.size_bytes) == ("1-dead", 4)
    found.remove()
    found.remove()
    assert drafts(tmp_path) == []
