"""The images of a job follow from its request alone, and so do its archives."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from service.contract.job import Job, Status
from service.contract.recipe import Format
from service.contract.shard import BLOCK
from tests.fixtures.fleet import Fleet, NewFleet

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize("format", list(Format))
def test_one_and_two_workers_make_the_same_archives(
    fleets: tuple[Fleet, Fleet], format: Format
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
    """Every block of 1,024 samples hashes alike in two shard sizes and all formats, read by other people's tools."""
    cuts = [(size, format) for size in (1024, 2048) for format in Format]
    jobs = [
        pair.submit(label=2, count=5000, shard_size=size, format=format) for size, format in cuts
    ]
    blocks = [_blocks(pair, pair.wait(job)) for job in jobs]
    assert len(blocks[0]) == 5
    assert blocks == [blocks[0]] * len(cuts)


def test_equal_ranges_have_equal_pixel_checksums(pair: Fleet) -> None:
    """`images_root` of the manifest tells for a range of samples, whatever format holds it."""
    jobs = [pair.submit(label=2, count=5000, format=format) for format in Format]
    wide = pair.submit(label=2, count=5000, shard_size=2048)
    told = [
        {(shard.start, shard.stop): shard.images_root for shard in manifest.shards}
        for manifest in (pair.manifest(pair.wait(job)) for job in (*jobs, wide))
    ]
    assert told[:-1] == [told[0]] * len(Format)
    assert told[0][4096, 5000] == told[-1][4096, 5000]
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
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(file))) for file in _FILES[archive.suffix](archive)]
    )


def _of_zip(archive: Path) -> list[bytes]:
    with zipfile.ZipFile(archive) as members:
        return [members.read(name) for name in sorted(members.namelist()) if name.endswith(".png")]


def _of_tar(archive: Path) -> list[bytes]:
    with tarfile.open(archive) as members:
        pictures = [member for member in members if member.name.endswith(".png")]
        return [members.extractfile(picture).read() for picture in pictures]  # type: ignore[union-attr]


def _of_parquet(archive: Path) -> list[bytes]:
    return [image["bytes"] for image in pq.read_table(archive)["image"].to_pylist()]


_FILES = {".zip": _of_zip, ".tar": _of_tar, ".parquet": _of_parquet}
