"""How a job is cut: blocks of random stream, shards of storage. Pure integer arithmetic."""

from collections.abc import Iterator

from service.contract.value import Value

#: Samples that share one random stream. Part of the contract: changing it changes images.
BLOCK = 1024

#: Raw pixels a default shard may hold, so that a worker's memory does not grow with the image size.
DEFAULT_SHARD_BYTES = 64 * 2**20
DEFAULT_SHARD_SIZE = 16 * BLOCK

#: A ZIP without ZIP64 holds 65,535 members; one is metadata.csv, and shards end on block boundaries.
MAX_SHARD_SIZE = 63 * BLOCK


class Shard(Value):
    """Samples `start` … `stop` - 1 of a job: run by one worker at a time, stored as one archive object."""

    index: int
    start: int
    stop: int

    @property
    def samples(self) -> int:
        return self.stop - self.start


def default_shard_size(image_bytes: int) -> int:
    """The default, or as many samples as keep raw pixels within 64 MiB; always whole blocks."""
    blocks = DEFAULT_SHARD_BYTES // (image_bytes * BLOCK)
    return min(DEFAULT_SHARD_SIZE, max(1, blocks) * BLOCK)


def shard_count(count: int, shard_size: int) -> int:
    return -(-count // shard_size)


def shard_at(index: int, *, count: int, shard_size: int) -> Shard:
    """Shard `index` of `count` samples. Raises IndexError outside 0 … shard_count - 1."""
    start = index * shard_size
    if not 0 <= start < count:
        raise IndexError(f"no shard {index} in {count} samples of {shard_size}")
    return Shard(index=index, start=start, stop=min(start + shard_size, count))


def all_shards(count: int, shard_size: int) -> Iterator[Shard]:
    for index in range(shard_count(count, shard_size)):
        yield shard_at(index, count=count, shard_size=shard_size)
