"""The client against a real service: what was asked for is what arrives, and what is wrong is named."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from latentmill import Client, verify_folder
from latentmill.errors import (
    FolderTaken,
    JobCancelled,
    JobUnfinished,
    RequestInvalid,
    ServerUnreachable,
    SettingsInvalid,
    ShardExpired,
    UnknownJob,
    WaitTimedOut,
)
from latentmill.extract import extract
from latentmill.folder import discard

from service.adapters.storage import open_storage
from service.contract.recipe import Format
from service.contract.settings import Settings, load_settings
from service.local.ports import free_port
from service.local.stack import Stack
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.stack import TINY, UNLABELLED
from workers.decoder import Decoder
from workers.latents import draw_latents


def test_arrays_are_what_the_decoder_draws(client: Client) -> None:
    """All formats give the pixels that decoding the same latents here gives, in index order."""
    decoder = Decoder(*tiny_decoder(TINY))
    expected = decoder.decode(draw_latents(7, 0, 1500, decoder.card.latent_dim), "4")
    for format in Format:
        job = client.submit(TINY, 4, count=1500, seed=7, format=format, shard_size=1024)
        images, labels, indexes = client.arrays(client.wait(job))
        assert np.array_equal(images, expected)
        assert labels.tolist() == ["4"] * 1500
        assert np.array_equal(indexes, np.arange(1500))


def test_a_decoder_without_labels_gives_empty_labels(client: Client) -> None:
    """RGB images of an unconditional decoder come back in their shape, without labels."""
    job = client.wait(client.submit(UNLABELLED, count=10, seed=1))
    images, labels, _ = client.arrays(job)
    assert images.shape == (10, 6, 5, 3)
    assert set(labels.tolist()) == {""}


def test_wait_tells_progress_up_to_the_last_sample(client: Client) -> None:
    """The last thing that is told of a completed job is that all of it is done."""
    told: list[int] = []
    job = client.submit(TINY, "1", count=2000, shard_size=1024)
    client.wait(job, on_progress=lambda now: told.append(now.progress.samples_done))
    assert told == sorted(told)
    assert told[-1] == 2000


def test_wait_gives_up_but_the_job_goes_on(client: Client) -> None:
    """A timeout is an error of the wait, not of the job."""
    job = client.submit(TINY, "2", count=60_000)
    with pytest.raises(WaitTimedOut, match=job.id):
        client.wait(job, timeout_s=0)
    assert client.wait(job).status == "completed"


def test_waiting_for_a_cancelled_job_raises(client: Client) -> None:
    """A cancelled job is an error for whoever waits for its images."""
    job = client.submit(TINY, "3", count=3_000_000, seed=3, shard_size=1024)
    client.cancel(job)
    with pytest.raises(JobCancelled, match=job.id):
        client.wait(job.id)
    with pytest.raises(JobUnfinished):
        client.manifest(job)


def test_one_key_makes_one_job(client: Client) -> None:
    """The same idempotency key gives the same job; without a key each submit is a job of its own."""
    first, again = (
        client.submit(TINY, 5, count=8, seed=1, idempotency_key="only-once") for _ in range(2)
    )
    assert first.id == again.id
    assert client.submit(TINY, 5, count=8, seed=1).id != client.submit(TINY, 5, count=8, seed=1).id


def test_every_fault_of_a_request_is_named(client: Client) -> None:
    """A refusal carries the pointer of each wrong field, not only of the first."""
    with pytest.raises(RequestInvalid) as refused:
        client.submit(TINY, "eleven", count=0, seed=-1)
    assert {fault.pointer for fault in refused.value.faults} == {"/label", "/count", "/seed"}


def test_unknown_jobs_are_unknown(client: Client) -> None:
    """An id that nobody gave out is UnknownJob, and so is one that is no id at all."""
    for job_id in ("nosuchjob123", "../../etc/passwd"):
        with pytest.raises(UnknownJob):
            client.job(job_id)


def test_a_listing_goes_on_past_its_pages(client: Client) -> None:
    """`limit` is the caller's, not a page's; the newest job comes first."""
    made = [client.submit(TINY, 6, count=1, seed=seed).id for seed in range(3)]
    assert [job.id for job in client.jobs(limit=3)] == made[::-1]
    in_pages = client._all_jobs({"limit": "2"})
    assert [next(in_pages).id for _ in range(3)] == made[::-1]


def test_a_quote_knows_what_is_stored(client: Client) -> None:
    """A quote for a job that ran says that all of it is stored already."""
    client.wait(client.submit(TINY, 7, count=2048, seed=11, shard_size=1024))
    quote = client.quote(TINY, 7, count=2048, seed=11, shard_size=1024)
    assert (quote["samples"], quote["shards"], quote["shards_stored"]) == (2048, 2, 2)


def test_decoders_are_listed(client: Client) -> None:
    """The cards of the published decoders arrive as cards."""
    assert tiny_decoder(TINY)[1] in client.decoders()


@pytest.fixture(scope="module")
def job_id(stack: Stack) -> str:
    """A completed job of three archives."""
    with Client(stack.url) as client:
        return client.wait(client.submit(TINY, 8, count=2500, seed=5, shard_size=1024)).id


def test_a_download_is_verified_and_whole(client: Client, job_id: str, tmp_path: Path) -> None:
    """The folder holds the archives under their ranges and the manifest, nothing else, and all is intact."""
    told: list[tuple[int, int]] = []
    paths = client.download(job_id, tmp_path, lambda *sizes: told.append(sizes))
    assert [path.name for path in paths] == [
        "000000000000-000000001024.zip",
        "000000001024-000000002048.zip",
        "000000002048-000000002500.zip",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", *(p.name for p in paths)}
    size = client.manifest(job_id).size_bytes
    assert told[-1] == (size, size)
    assert verify_folder(tmp_path).is_intact


def test_a_download_goes_on_where_it_stopped(client: Client, job_id: str, tmp_path: Path) -> None:
    """Intact archives are kept as they are; missing and damaged ones are fetched."""
    first, second, third = client.download(job_id, tmp_path)
    whole = second.read_bytes()
    os.utime(first, (1, 1))
    second.write_bytes(whole[:-1] + b"x")
    third.unlink()
    client.download(job_id, tmp_path)
    assert first.stat().st_mtime == 1
    assert second.read_bytes() == whole
    assert third.exists()


def test_a_folder_belongs_to_one_job(client: Client, job_id: str, tmp_path: Path) -> None:
    """Archives of two jobs never mix, for their names are alike."""
    client.download(job_id, tmp_path)
    other = client.wait(client.submit(TINY, 8, count=1, seed=6))
    with pytest.raises(FolderTaken, match=job_id):
        client.download(other, tmp_path)


def test_discard_makes_room_for_another_job(client: Client, job_id: str, tmp_path: Path) -> None:
    """A folder whose download was discarded takes another job's; files of the user stay."""
    (tmp_path / "notes.txt").write_text("mine")
    client.download(job_id, tmp_path)
    discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    discard(tmp_path)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_verify_names_the_flipped_and_the_missing_archive(
    client: Client, job_id: str, tmp_path: Path
) -> None:
    """One flipped byte is found, with the shard's index, range and file; so is a missing archive."""
    _, second, third = client.download(job_id, tmp_path)
    flip(second, 2000)
    third.unlink()
    flipped, missing = verify_folder(tmp_path).faults
    assert (flipped.index, flipped.start, flipped.stop) == (1, 1024, 2048)
    assert flipped.file == second.name
    assert flipped.problem.startswith("has sha256")
    assert (missing.index, missing.problem) == (2, "is missing")


def test_verify_looks_at_pixels_too(client: Client, job_id: str, tmp_path: Path) -> None:
    """A manifest whose root is wrong is found out although every archive has its sha256."""
    client.download(job_id, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["shards"][0]["images_root"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (fault,) = verify_folder(tmp_path).faults
    assert (fault.index, fault.problem) == (0, "holds other pixels than were made")


def test_the_server_side_is_verified_without_keeping_it(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """A damaged object in the store is named, a job next to it is intact, and a download refuses it."""
    job = client.wait(client.submit(TINY, 9, count=2048, seed=99, shard_size=1024))
    assert client.verify(job).is_intact
    storage = open_storage(load_settings(Settings, **stack.settings))
    key = client.manifest(job).shards[1].key
    data = bytearray(storage.get(key))
    data[100] ^= 1
    storage.put(key, bytes(data))
    (fault,) = client.verify(job).faults
    assert fault.index == 1
    with pytest.raises(Exception, match="shard 1 arrived with the wrong sha256"):
        client.download(job, tmp_path)
    assert not (tmp_path / fault.file).exists()
    storage.delete(key)
    with pytest.raises(ShardExpired):
        client.arrays(job)


def test_all_archives_unpack_into_one_image_folder(client: Client, tmp_path: Path) -> None:
    """One folder per label, one table with a line for each image in index order."""
    job = client.wait(client.submit(TINY, 8, count=1030, seed=5, shard_size=1024))
    client.download(job, tmp_path)
    images = extract(tmp_path)
    with (images / "metadata.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [int(row["index"]) for row in rows] == list(range(1030))
    assert {row["label"] for row in rows} == {"8"}
    files = {str(path.relative_to(images)) for path in images.rglob("*.png")}
    assert files == {row["file_name"] for row in rows}


def test_no_server_is_said_soon_and_with_a_way_out() -> None:
    """A server that never answered is given up within seconds, naming the URL and what to do."""
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url) as client, pytest.raises(ServerUnreachable, match="latentmill up") as refused:
        client.job("whatever")
    assert url in refused.value.detail


def test_what_is_no_url_is_refused() -> None:
    """A host without a scheme is told what a URL looks like."""
    with pytest.raises(SettingsInvalid, match="http://127"):
        Client("localhost:8000")
