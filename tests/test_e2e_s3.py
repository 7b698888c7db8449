"""The whole service on an S3 server over HTTP: every object there, downloads by signed URL."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from latentmill import Client, verify_folder

from service.adapters.storage import open_storage
from service.contract.settings import Settings
from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, Stack, running
from tests.fixtures.s3 import S3Server
from tests.fixtures.stack import TINY, publish_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(moto_server: S3Server) -> dict[str, str]:
    return moto_server.new_bucket()


@pytest.fixture(scope="module")
def on_s3(place: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, API, sweep and two workers, with a bucket instead of a folder."""
    settings = {name: value for name, value in place.items() if name != "storage_url"}
    plan = Plan(
        DataDir(tmp_path_factory.mktemp("on-s3")),
        "127.0.0.1",
        free_port(),
        2,
        storage_url=place["storage_url"],
        settings=settings,
        prepare=publish_tiny,
    )
    with running(plan) as stack:
        yield stack


def test_a_job_is_made_and_downloaded(on_s3: Stack, tmp_path: Path) -> None:
    """From submit to verified archives, with nothing of a folder in between."""
    with Client(on_s3.url) as client:
        job = client.wait(client.submit(TINY, 3, count=5000, seed=42, shard_size=1024))
        client.download(job, tmp_path)
        again = client.wait(client.submit(TINY, 3, count=5000, seed=42, shard_size=1024))
    found = verify_folder(tmp_path)
    assert (found.is_intact, found.samples, found.shards) == (True, 5000, 5)
    assert again.progress.shards_reused == 5


def test_a_shard_is_a_redirect_to_a_signed_url(on_s3: Stack, place: dict[str, str]) -> None:
    """The API never carries the bytes, nobody in between may keep the URL, and it names the file."""
    with Client(on_s3.url) as client:
        job = client.wait(client.submit(TINY, 4, count=10, seed=1))
    answer = httpx.get(f"{on_s3.url}/v1/jobs/{job.id}/shards/0", trust_env=False)
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(place["s3_endpoint_url"])
    assert "X-Amz-Signature" in answer.headers["Location"]
    assert answer.headers["Cache-Control"] == "no-store"
    shard = httpx.get(answer.headers["Location"], trust_env=False)
    assert shard.content[:2] == b"PK"
    assert job.id in shard.headers["Content-Disposition"]


def test_every_object_is_in_the_bucket(on_s3: Stack, place: dict[str, str]) -> None:
    """Requests, outcomes, manifests, shards and the log; no marker of a job that has ended."""
    with Client(on_s3.url) as client:
        client.wait(client.submit(TINY, 5, count=10, seed=1))
    keys = {entry.key.partition("/")[0] for entry in open_storage(Settings(**place)).list("")}
    assert keys == {"decoders", "jobs", "log", "shards"}
