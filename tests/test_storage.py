"""What every storage promises: on a folder, on moto over HTTP, on Ceph where there is one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from urllib.request import urlopen

import pytest

from service.adapters.storage import Storage, create_or_keep, exists
from service.adapters.storage_race import race_writers, require_conditional_create
from service.contract.errors import ObjectExists, ObjectMissing, StorageUnavailable
from tests.fixtures.killed_writers import KEY, forks, put_versions, version, version_of
from tests.fixtures.storage import open_place, remove_place

ODD_KEYS = [
    "a",
    ".hidden/.file",
    "with space/plus+and&=?#%25.png",
    "ünï/文字/😀",
    "trailing./dots..",
    "quote'\"\\back",
    "n" * 255 + "/" + "m" * 255,
]

NO_KEYS = [
    *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b"),
    *("a\0b", "a\nb", "\x7f", "\ud800", "n" * 256, "/".join(["n" * 200] * 5)),
]

NO_METADATA = [{"Upper": "x"}, {"ünï": "x"}, {"a": "ünï"}, {"a": ""}, {"a": " x"}, {"a": "x\ny"}]


def keys(storage: Storage, prefix: str = "", after: str = "") -> list[str]:
    return [found.key for found in storage.list(prefix, after=after)]


def test_an_object_is_read_as_it_was_written(storage: Storage) -> None:
    """Bytes, size, metadata and a moment near now come back."""
    storage.put("a/b", b"bytes", metadata={"sha256": "0" * 64, "profile": '{"device": "cpu"}'})
    found = storage.head("a/b")
    assert storage.get("a/b") == b"bytes"
    assert (found.key, found.size_bytes) == ("a/b", 5)
    assert found.metadata == {"sha256": "0" * 64, "profile": '{"device": "cpu"}'}
    assert abs(found.modified_at.timestamp() - time.time()) < 60


def test_put_replaces_bytes_and_metadata_together(storage: Storage) -> None:
    """What an earlier object of the key carried does not shine through."""
    storage.put("a", b"first", metadata={"one": "1"})
    storage.put("a", b"second, longer", metadata={"two": "2"})
    assert (storage.get("a"), storage.head("a").metadata) == (b"second, longer", {"two": "2"})
    storage.put("a", b"third")
    assert (storage.get("a"), storage.head("a").metadata) == (b"third", {})


def test_a_refreshed_object_is_young_and_the_same(storage: Storage) -> None:
    """Retention counts from then; bytes and metadata are untouched, and what is gone is not made."""
    storage.put("a/b", b"bytes", metadata={"sha256": "0" * 64})
    before = storage.head("a/b")
    time.sleep(1.1)  # S3 tells ages in whole seconds.
    storage.refresh("a/b")
    after = storage.head("a/b")
    assert after.modified_at > before.modified_at
    assert (storage.get("a/b"), after.metadata) == (b"bytes", before.metadata)
    with pytest.raises(ObjectMissing):
        storage.refresh("a/c")
    assert keys(storage) == ["a/b"]


def test_a_missing_object_is_missing(storage: Storage) -> None:
    """Reading says so, also below an object that exists; deleting does not mind."""
    storage.put("a/b", b"")
    for key in ("c", "a/c", "a/b/c"):
        for read in (storage.get, storage.head, storage.open):
            with pytest.raises(ObjectMissing):
                read(key)
        storage.delete(key)
    assert keys(storage) == ["a/b"]


def test_a_deleted_object_is_gone(storage: Storage) -> None:
    """It is neither read nor listed, its key is free again, and its metadata does not come back."""
    storage.create("a/b", b"old", metadata={"one": "1"})
    storage.delete("a/b")
    assert (exists(storage, "a/b"), keys(storage)) == (False, [])
    storage.create("a/b", b"new")
    assert (storage.get("a/b"), storage.head("a/b").metadata) == (b"new", {})


def test_odd_keys_are_kept_apart_and_listed(storage: Storage) -> None:
    """Every key that the rules allow comes back as it was given, ordered by its UTF-8 bytes."""
    for key in ODD_KEYS:
        storage.create(key, key.encode())
    assert [storage.get(key) for key in ODD_KEYS] == [key.encode() for key in ODD_KEYS]
    assert keys(storage) == sorted(ODD_KEYS, key=str.encode)


@pytest.mark.parametrize("key", NO_KEYS)
def test_a_key_that_leads_elsewhere_is_refused(folder_storage: Storage, key: str) -> None:
    """No method follows a key out of the storage or takes one that some store cannot hold."""
    with pytest.raises(ValueError, match=r"key|surrogates"):
        folder_storage.put(key, b"")
    for method in (folder_storage.get, folder_storage.open, folder_storage.head):
        with pytest.raises(ValueError, match=r"key|surrogates"):
            method(key)


def test_every_store_keeps_the_rules(storage: Storage) -> None:
    """The same keys, prefixes and metadata are refused in all, so that stores are exchangeable."""
    for refused in ("../a", "a//b", "/a"):
        for method in (storage.get, storage.open, storage.head, storage.delete, storage.list):
            with pytest.raises(ValueError, match="key"):
                method(refused)
        with pytest.raises(ValueError, match="key"):
            storage.create(refused, b"")
    for metadata in NO_METADATA:
        with pytest.raises(ValueError, match="metadata"):
            storage.put("a", b"", metadata=metadata)
    assert keys(storage) == []


def test_a_listing_is_in_the_order_of_whole_keys(storage: Storage) -> None:
    """`-` and `.` sort before `/`, as in S3, where a file system would put the folder first."""
    names = ["a-b", "a.b", "a/b", "a/b-c", "a/b.d/e", "a0", "b/a", "b/a.zip", "b/b/c"]
    for name in reversed(names):
        storage.put(name, b"12")
    assert keys(storage) == names
    assert {found.size_bytes for found in storage.list("")} == {2}


def test_a_prefix_may_end_anywhere(storage: Storage) -> None:
    """A prefix is the start of a string and not a folder."""
    for name in ("a-b", "a/b", "a/bc/d", "a/c", "ab", "b"):
        storage.put(name, b"")
    assert keys(storage, "a") == ["a-b", "a/b", "a/bc/d", "a/c", "ab"]
    assert keys(storage, "a/") == ["a/b", "a/bc/d", "a/c"]
    assert keys(storage, "a/b") == ["a/b", "a/bc/d"]
    assert keys(storage, "a/b/") == keys(storage, "nothing/here") == []


def test_a_listing_goes_on_behind_any_key(storage: Storage) -> None:
    """`after` need not exist and may lie before, in or behind the prefix."""
    for name in ("a-b", "a/b", "a/c/d", "a/c/e", "b"):
        storage.put(name, b"")
    assert keys(storage, after="a/b") == ["a/c/d", "a/c/e", "b"]
    assert keys(storage, after="a/c") == ["a/c/d", "a/c/e", "b"]
    assert keys(storage, "a/", after="a/c/d") == ["a/c/e"]
    assert keys(storage, "a/", after="a") == ["a/b", "a/c/d", "a/c/e"]
    assert keys(storage, "a/", after="b") == []


@pytest.mark.slow
def test_more_keys_than_a_page_are_listed(storage: Storage) -> None:
    """S3 gives a thousand keys at a time; nobody sees the seam, and a reader may stop early."""
    wanted = [f"shards/r/{number * 1024:012d}.zip" for number in range(1_010)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: storage.put(key, b"x"), wanted))
    assert keys(storage, "shards/r/") == wanted
    assert keys(storage, "shards/", after=wanted[4]) == wanted[5:]
    assert [found.key for found in islice(storage.list("shards/"), 3)] == wanted[:3]


def test_one_of_many_creators_wins(storage: Storage) -> None:
    """Of 16 at once one creates the object, it stays as that one wrote it, the others are told."""
    start, wins = threading.Barrier(16), []

    def create(number: int) -> None:
        start.wait()
        try:
            storage.create("a/b", b"%d" % number * 1000, metadata={"writer": str(number)})
        except ObjectExists:
            return
        wins.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(create, range(16)))
    (winner,) = wins
    assert storage.get("a/b") == b"%d" % winner * 1000
    assert storage.head("a/b").metadata == {"writer": str(winner)}


def test_the_start_up_race_has_one_winner(storage: Storage) -> None:
    """A process may start on this store, and the race leaves no object behind."""
    assert race_writers(storage) == 1
    require_conditional_create(storage)
    assert keys(storage) == []


def test_create_leaves_what_stands(storage: Storage) -> None:
    """A second creation changes neither bytes nor metadata; `create_or_keep` gives what stands."""
    storage.create("a", b"first", metadata={"one": "1"})
    with pytest.raises(ObjectExists, match="a exists"):
        storage.create("a", b"second", metadata={"two": "2"})
    assert create_or_keep(storage, "a", b"third") == b"first"
    assert create_or_keep(storage, "b", b"third") == b"third"
    assert (storage.get("a"), storage.head("a").metadata) == (b"first", {"one": "1"})


def test_a_reader_sees_whole_objects_while_one_is_replaced(storage: Storage) -> None:
    """Bytes of one version, and the size and metadata of one version, whatever the moment."""
    data, metadata = version(0)
    storage.put(KEY, data, metadata=metadata)
    done = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not done.is_set():
            seen.add(version_of(storage.get(KEY)))
            found = storage.head(KEY)
            assert found.size_bytes == 1_000_000 + int(found.metadata["version"])
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for number in range(1, 40):
                data, metadata = version(number)
                storage.put(KEY, data, metadata=metadata)
        finally:
            done.set()
    assert len(set.union(*(reader.result() for reader in readers))) > 2


def test_a_writer_killed_at_any_moment_leaves_a_whole_object(storage_place: dict[str, str]) -> None:
    """kill -9 while it puts version after version: one of them stands, with its metadata."""
    storage, context = open_place(storage_place), forks()
    for pause_s in (0.01, 0.037, 0.071):
        started = context.Event()
        writer = context.Process(target=put_versions, args=(storage_place, started))
        writer.start()
        assert started.wait(30)
        time.sleep(pause_s)
        writer.kill()
        writer.join()
        # A server may still finish the request of a dead client: each answer is whole by itself.
        version_of(storage.get(KEY))
        found = storage.head(KEY)
        assert found.size_bytes == 1_000_000 + int(found.metadata["version"])
        assert keys(storage) == [KEY]


def test_a_large_object_is_kept(storage: Storage) -> None:
    """20 MB go in as a view without a copy by the caller, and come out whole or as a stream."""
    data = bytes(range(256)) * 80_000
    storage.create("large", memoryview(data))
    assert storage.get("large") == data
    with storage.open("large") as stream:
        assert stream.read(300) == data[:300]
        assert stream.read() == data[300:]
        assert stream.read() == b""


def test_a_stream_can_be_left_early(storage: Storage) -> None:
    """Closing after the first bytes harms no later reader; an empty object is a stream too."""
    storage.put("a", b"x" * 1_000_000)
    storage.put("empty", b"")
    for _ in range(70):
        with storage.open("a") as stream:
            assert stream.read(1) == b"x"
    with storage.open("empty") as stream:
        assert stream.read() == b""


def test_a_signed_url_reads_the_object(storage: Storage) -> None:
    """Without credentials, under the asked file name; a store that cannot sign says None."""
    storage.put("a/ü b", b"bytes")
    url = storage.sign("a/ü b", expires_s=60, filename="mnist-3.zip")
    if url is None:
        assert type(storage).__name__ == "FolderStorage"
        return
    with urlopen(url) as answer:
        assert answer.read() == b"bytes"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="mnist-3.zip"'


def test_many_threads_share_one_storage_from_its_first_use(storage_place: dict[str, str]) -> None:
    """Sixteen that find it unopened each get their own object back."""
    storage = open_place(storage_place)

    def work(number: int) -> bool:
        storage.put(f"n/{number}", b"%d" % number, metadata={"n": str(number)})
        return storage.get(f"n/{number}") == b"%d" % number

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(48)))
    storage.check()


def test_a_store_that_is_gone_is_not_an_empty_one(storage_place: dict[str, str]) -> None:
    """A missing bucket or unmounted folder is an error that says what to set, not "no such job"."""
    storage = open_place(storage_place)
    remove_place(storage_place)
    for ask in (
        *(storage.get, storage.head, storage.open, storage.delete),
        *(lambda key: storage.put(key, b""), lambda key: storage.create(key, b"")),
        *(lambda key: list(storage.list(key)), lambda _: storage.check()),
    ):
        with pytest.raises(StorageUnavailable, match="set LATENTMILL_STORAGE_URL="):
            ask("a/b")
