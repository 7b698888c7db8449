"""Storage in memory, as the simulator has it, keeps the contract that the folder keeps."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.storage import Storage
from service.adapters.storage_folder import FolderStorage
from service.contract.errors import LatentmillError
from tests.model.store import MemoryStorage

keys = st.sampled_from(["jobs/a/request.json", "jobs/a/outcome.json", "shards/x/0", "../x"])
prefixes = st.sampled_from(["", "jobs/", "jobs/a/o", "nobody/"])
written = st.tuples(keys, st.binary(max_size=4), st.sampled_from([{}, {"samples": "1"}, {"A": ""}]))


def told(storage: Storage, call: Callable[[Storage], Any]) -> Any:
    """The answer, or the name of the error."""
    try:
        return call(storage)
    except (LatentmillError, ValueError) as error:
        return type(error).__name__


def head(storage: Storage, key: str) -> Any:
    found = storage.head(key)
    return found.key, found.size_bytes, dict(found.metadata)


def streamed(storage: Storage, key: str) -> bytes:
    with storage.open(key) as stream:
        return stream.read()


calls = st.one_of(
    written.map(lambda it: lambda s: s.put(it[0], it[1], metadata=it[2])),
    written.map(lambda it: lambda s: s.create(it[0], it[1], metadata=it[2])),
    keys.map(lambda key: lambda s: s.get(key)),
    keys.map(lambda key: lambda s: streamed(s, key)),
    keys.map(lambda key: lambda s: head(s, key)),
    keys.map(lambda key: lambda s: s.refresh(key)),
    keys.map(lambda key: lambda s: s.delete(key)),
    prefixes.map(lambda prefix: lambda s: [each.key for each in s.list(prefix)]),
    prefixes.map(lambda p: lambda s: [e.key for e in s.list(p, after="jobs/a/outcome.json")]),
)


@given(st.lists(calls, min_size=4, max_size=12))
@settings(max_examples=40)
def test_both_answer_alike(
    tmp_path_factory: pytest.TempPathFactory, asked: list[Callable[[Storage], Any]]
) -> None:
    """Bytes, metadata, order and errors, whatever is called in whatever order."""
    memory, folder = MemoryStorage(), FolderStorage(tmp_path_factory.mktemp("objects"))
    for call in asked:
        assert told(memory, call) == told(folder, call)
