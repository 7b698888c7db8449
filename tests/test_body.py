"""A body: memory that archives grow in, one after another, and never past what was reserved."""

import numpy as np
import pytest

from workers.body import Bodies, Body
from workers.kernel.vector import SLACK


def new_body(most: int = 100) -> Body:
    body = Body()
    body.begin(most)
    return body


def test_it_holds_what_was_written_in_order() -> None:
    """By append, and by a kernel that writes into the room and tells how much."""
    body = new_body()
    assert body.append(b"ab") == 2
    body.room()[:3] = np.frombuffer(b"cde", np.uint8)
    body.grow(3)
    assert body.append(memoryview(b"xfy")[1:2]) == 1
    assert (bytes(body.view()), bytes(body.view(2)), body.size) == (b"abcdef", b"cdef", 6)


def test_it_may_be_filled_and_not_overfilled() -> None:
    """The last byte fits; one more is refused before the archive is stored, with slack behind for kernels' steps."""
    body = new_body(100)
    body.append(bytes(100))
    assert body.room().size >= SLACK
    with pytest.raises(BufferError, match="reserved"):
        body.grow(1)
    assert body.size == 100


def test_the_next_archive_takes_the_same_memory() -> None:
    """Where it is large enough; what it held is forgotten."""
    body = new_body(100)
    body.append(b"old")
    first = body.room().ctypes.data - 3
    body.begin(50)
    assert (body.size, bytes(body.view())) == (0, b"")
    assert body.room().ctypes.data == first
    body.begin(10_000)
    assert body.append(bytes(10_000)) == 10_000


def test_its_memory_begins_with_a_page() -> None:
    """So that a disk takes an archive as it lies."""
    assert new_body(10_000).room().ctypes.data % 4096 == 0


def test_a_view_outlives_growth() -> None:
    """Checksums and the writer look at bytes that stay where they are while the archive grows."""
    body = new_body()
    body.append(b"first")
    view = body.view()
    body.append(b"second")
    assert bytes(view) == b"first"


def test_too_much_memory_is_a_memory_error() -> None:
    """Which a worker tells as such, and bounds by attempts."""
    with pytest.raises(MemoryError):
        Body().begin(2**60)


def test_two_shards_never_share_a_body() -> None:
    """As many as are in hand at once; each is used again, after an error too."""
    bodies = Bodies()
    with bodies.one() as first, bodies.one() as second:
        assert first is not second
    with pytest.raises(ValueError, match="broken"), bodies.one() as third:
        raise ValueError("broken")
    with bodies.one() as fourth, bodies.one() as fifth:
        assert {id(third), id(fourth), id(fifth)} == {id(first), id(second)}
