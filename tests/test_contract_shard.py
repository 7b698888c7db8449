"""How a job is cut: shards partition it exactly and start where random streams start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.shard import (
    BLOCK,
    DEFAULT_SHARD_BYTES,
    DEFAULT_SHARD_SIZE,
    MAX_SHARD_SIZE,
    all_shards,
    default_shard_size,
    shard_at,
    shard_count,
)

shard_sizes = st.integers(1, MAX_SHARD_SIZE // BLOCK).map(lambda blocks: blocks * BLOCK)


@given(count=st.integers(1, 2_000_000), shard_size=shard_sizes)
def test_shards_partition_the_samples_exactly(count: int, shard_size: int) -> None:
    """Every sample lies in one shard and no shard is empty, whatever count and shard size."""
    shards = list(all_shards(count, shard_size))
    assert [shard.index for shard in shards] == list(range(shard_count(count, shard_size)))
    edges = [0] + [shard.stop for shard in shards]
    assert [shard.start for shard in shards] == edges[:-1]
    assert edges[-1] == count
    assert all(1 <= shard.samples <= shard_size for shard in shards)


@given(count=st.integers(1, 10**12), shard_size=shard_sizes, data=st.data())
def test_shards_start_on_block_boundaries(count: int, shard_size: int, data: st.DataObject) -> None:
    """No two shards share a random stream; only the last may end inside one."""
    index = data.draw(st.integers(0, shard_count(count, shard_size) - 1))
    shard = shard_at(index, count=count, shard_size=shard_size)
    assert shard.start % BLOCK == 0
    assert shard.stop % BLOCK == 0 or shard.stop == count


@given(
    count=st.integers(1, 10**12), more=st.integers(0, 10**6), shard_size=shard_sizes, data=st.data()
)
def test_a_longer_job_contains_every_full_shard(
    count: int, more: int, shard_size: int, data: st.DataObject
) -> None:
    """Extending a job changes at most its last, partial shard."""
    index = data.draw(st.integers(0, shard_count(count, shard_size) - 1))
    before = shard_at(index, count=count, shard_size=shard_size)
    after = shard_at(index, count=count + more, shard_size=shard_size)
    assert before == after or (before.start == after.start and before.samples < shard_size)


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_shard_outside_the_job_is_refused(index: int) -> None:
    """3,000 samples at 1,024 are shards 0 to 2."""
    with pytest.raises(IndexError, match=f"no shard {index} in 3000"):
        shard_at(index, count=3000, shard_size=1024)


@pytest.mark.parametrize(
    ("height", "width", "channels", "expected"),
    [
        (28, 28, 1, 16_384),
        (64, 64, 1, 16_384),
        (64, 64, 3, 5_120),
        (128, 128, 3, 1_024),
        (1024, 1024, 3, 1_024),
    ],
)
def test_default_shard_sizes(height: int, width: int, channels: int, expected: int) -> None:
    """Part of the contract: the default decides the recipe of a request without shard size."""
    assert default_shard_size(height * width * channels) == expected


@given(image_bytes=st.integers(1, 1024 * 1024 * 3))
def test_the_default_shard_size_bounds_memory(image_bytes: int) -> None:
    """Whole blocks within 64 MiB of pixels, unless one block alone is larger."""
    size = default_shard_size(image_bytes)
    assert size % BLOCK == 0
    assert BLOCK <= size <= DEFAULT_SHARD_SIZE
    assert size * image_bytes <= DEFAULT_SHARD_BYTES or size == BLOCK


def test_the_largest_shard_is_a_zip_without_zip64() -> None:
    """One image per sample and metadata.csv stay within the 65,535 members of a plain ZIP."""
    assert MAX_SHARD_SIZE + 1 <= 65_535 < MAX_SHARD_SIZE + BLOCK + 1
