"""Hash trees: roots as RFC 6962 has them, and paths that prove what is there and nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.merkle import leaf_hash, node_hash, path_of, root_by, root_of

#: The RFC's own test vectors, as its reference implementation lists them: leaves, and the root over the first n.
VECTORS = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def by_the_book(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1: split at the largest power of two below the number."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(by_the_book(hashes[:split]), by_the_book(hashes[split:]))


def some(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


@pytest.mark.parametrize("count", sorted(ROOTS))
def test_the_rfcs_own_vectors(count: int) -> None:
    """Others who check a proof of ours use a library that was held against these."""
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS[:count]]
    assert root_of(hashes).hex() == ROOTS[count]


@given(st.integers(1, 70))
def test_a_root_is_that_of_the_rfc(count: int) -> None:
    """Level by level from below gives the tree that the RFC splits from above."""
    assert root_of(some(count)) == by_the_book(some(count))


@given(st.integers(1, 70), st.data())
def test_a_path_leads_to_the_root(count: int, data: st.DataObject) -> None:
    """From every place; of as many hashes as the tree is high, at most."""
    hashes, index = some(count), data.draw(st.integers(0, count - 1))
    path = path_of(hashes, index)
    assert len(path) <= (count - 1).bit_length()
    assert root_by(path, hashes[index], index=index, size=count) == root_of(hashes)


@given(st.integers(2, 70), st.data())
def test_nothing_else_leads_there(count: int, data: st.DataObject) -> None:
    """Another leaf, another place, a path that was cut, lengthened or changed."""
    hashes, index = some(count), data.draw(st.integers(0, count - 1))
    path, root = path_of(hashes, index), root_of(hashes)
    changed = data.draw(st.integers(0, len(path) - 1))
    wrong = [*path[:changed], leaf_hash(b"wrong"), *path[changed + 1 :]]
    other = data.draw(st.integers(0, count - 1).filter(lambda place: place != index))
    assert root_by(path, leaf_hash(b"other"), index=index, size=count) != root
    assert root_by(path, hashes[index], index=other, size=count) != root
    assert root_by(path[:-1], hashes[index], index=index, size=count) != root
    assert root_by([*path, root], hashes[index], index=index, size=count) is None
    assert root_by(wrong, hashes[index], index=index, size=count) != root


def test_a_node_is_no_leaf() -> None:
    """Two hashes put together cannot be passed off as an image."""
    left, right = some(2)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
