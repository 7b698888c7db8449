"""The images of a job follow from its request alone, and so do its archives."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.job import Job, Status
from service.contract.shard import BLOCK
from tests.fixtures.fleet import Fleet, NewFleet


@pytest.fixture(scope="module")
def fleets(new_fleet: NewFleet) -> tuple[Fleet, Fleet]:
    """One with one worker and nobody to sweep up after it, one with two workers."""
    alone, pair = new_fleet(), new_fleet()
    alone.start(api=1, worker=1)
    pair.start(api=1, sweep=1, worker=2)
    return alone, pair


@pytest.fixture
def pair(fleets: tuple[Fleet, Fleet]) -> Fleet:
    return fleets[1]


@pytest.mark.parametrize("format", ["zip", "npz"])
def test_one_and_two_workers_make_the_same_archives(
    fleets: tuple[Fleet, Fleet], format: str
) -> None:
    """Two jobs, submitted in either order, to one and to two workers: equal objects, equal manifests."""
    alone, pair = fleets
    wanted = [{"label": label, "count": 20_000, "format": format} for label in (0, 1)]
    of_one = [alone.submit(**fields) for fields in wanted]
    of_two = [pair.submit(**fields) for fields in reversed(wanted)][::-1]
    for one, two in zip(of_one, of_two, strict=True):
        assert alone.wait(one).status == pair.wait(two).status == Status.COMPLETED
        assert alone.digests(one) == pair.digests(two)
        assert alone.manifest(one).shards == pair.manifest(two).shards
    workers = pair.living("worker")
    assert len(workers) == 2
    assert all(worker.events("shard_stored") for worker in workers)


def test_shard_size_and_format_change_no_pixel(pair: Fleet) -> None:
    """Every block of 1,024 samples hashes alike in two shard sizes and two formats, read by Pillow and NumPy."""
    cuts = [(size, format) for size in (1024, 2048) for format in ("zip", "npz")]
    jobs = [
        pair.submit(label=2, count=5000, shard_size=size, format=format) for size, format in cuts
    ]
    blocks = [_blocks(pair, pair.wait(job)) for job in jobs]
    assert len(blocks[0]) == 5
    assert blocks == [blocks[0]] * 4


def test_equal_ranges_have_equal_pixel_checksums(pair: Fleet) -> None:
    """`pixels_sha256` of the manifest tells for a range of samples, whatever format holds it."""
    jobs = [pair.submit(label=2, count=5000, format=format) for format in ("zip", "npz")]
    wide = pair.submit(label=2, count=5000, shard_size=2048)
    told = [
        {(shard.start, shard.stop): shard.pixels_sha256 for shard in manifest.shards}
        for manifest in (pair.manifest(pair.wait(job)) for job in (*jobs, wide))
    ]
    assert told[0] == told[1]
    assert told[0][4096, 5000] == told[2][4096, 5000]
    assert len(set(told[0].values())) == 5


def test_a_longer_job_reuses_every_full_shard(pair: Fleet) -> None:
    """5,000 after 4,096: four shards are reused, their files untouched, and the images are the same."""
    short = pair.wait(pair.submit(label=3, count=4096))
    before = pair.identities(short)
    long = pair.wait(pair.submit(label=3, count=5000))
    assert long.progress.shards_reused == 4
    assert pair.identities(long)[:4] == before
    assert pair.manifest(long).shards[:4] == pair.manifest(short).shards


def _blocks(fleet: Fleet, job: Job) -> list[str]:
    """sha256 of the raw pixels of every block, as a reader of the archives finds them."""
    assert job.request is not None
    images = np.concatenate([_images(path) for path in fleet.shard_files(job)])
    assert images.shape == (job.request.count, 8, 8)
    starts = range(0, len(images), BLOCK)
    return [hashlib.sha256(images[start : start + BLOCK].tobytes()).hexdigest() for start in starts]


def _images(archive: Path) -> np.ndarray:
    """uint8 [n, H, W] in index order."""
    if archive.suffix == ".npz":
        return np.load(archive)["images"][..., 0]
    with zipfile.ZipFile(archive) as members:
        names = sorted(name for name in members.namelist() if name.endswith(".png"))
        return np.stack([np.asarray(Image.open(io.BytesIO(members.read(name)))) for name in names])
