"""Manifests and shards over HTTP: whole, in ranges, signed, not yet, no longer."""

import hashlib
import io
import zipfile
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from export.publish import publish
from tests.fixtures.api import Api, problem_of, start_api
from tests.fixtures.decoders import tiny_decoder


def shard_url(job: Any, index: int) -> str:
    return str(job["links"]["shards"].replace("{index}", str(index)))


def test_the_manifest_fits_the_bytes(api: Api) -> None:
    """Every shard that the manifest lists is there, as long and with the checksum that it says."""
    job = api.completed()
    manifest = api.http.get(job["links"]["manifest"]).json()
    assert (manifest["id"], manifest["request"]) == (job["id"], job["request"])
    assert [(shard["start"], shard["stop"]) for shard in manifest["shards"]] == [
        (0, 1024),
        (1024, 2048),
        (2048, 2500),
    ]
    for shard in manifest["shards"]:
        answer = api.http.get(shard_url(job, shard["index"]))
        assert answer.status_code == 200
        assert len(answer.content) == shard["size_bytes"] == int(answer.headers["Content-Length"])
        assert hashlib.sha256(answer.content).hexdigest() == shard["sha256"]
        assert answer.headers["ETag"] == f'"{shard["sha256"]}"'
    assert manifest["size_bytes"] == sum(shard["size_bytes"] for shard in manifest["shards"])


def test_a_download_is_a_file_with_a_name(api: Api) -> None:
    """A browser saves it under a name that tells job and range, and takes it for nothing else."""
    job = api.completed()
    answer = api.http.get(shard_url(job, 2))
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    name = f"{job['id']}-000000002048-000000002500.zip"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    members = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert sum(member.endswith(".png") for member in members) == 452


def test_arrays_are_downloaded_as_bytes(api: Api) -> None:
    """The other format has no media type of its own."""
    job = api.completed(format="npz")
    answer = api.http.get(shard_url(job, 0))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.content[:2] == b"PK"


def test_a_shard_is_readable_as_soon_as_it_is_stored(api: Api) -> None:
    """409 before, 200 after, while the job still runs; its manifest is 409 until the end."""
    job = api.accepted()
    problem_of(api.http.get(shard_url(job, 1)), status=409, slug="shard-not-stored")
    problem_of(api.http.get(f"/v1/jobs/{job['id']}/manifest"), status=409, slug="job-unfinished")
    api.run(job["id"], 1)
    assert api.http.get(shard_url(job, 1)).status_code == 200
    problem_of(api.http.get(shard_url(job, 0)), status=409, slug="shard-not-stored")
    assert api.job(job["id"])["status"] == "running"


@pytest.mark.parametrize(
    "index", ["3", "-1", "99999999999999999999", "9" * 400, "9" * 5000, "x", "1.5", "%20"]
)
def test_an_index_outside_the_job_is_404(lasting: Api, index: str) -> None:
    """Whatever is written in its place."""
    job = lasting.accepted()
    answer = lasting.http.get(f"/v1/jobs/{job['id']}/shards/{index}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_expired_shard_is_410_until_it_is_made_again(api: Api, redis_url: str) -> None:
    """Gone is not 'not yet': the answer says how to have the same bytes again, with or without Redis."""
    job = api.completed()
    key = api.stored("shards/")[0]
    api.parts.storage.delete(key)
    told = problem_of(api.http.get(shard_url(job, 0)), status=410, slug="shard-expired")
    assert "repair" in told["detail"]
    assert told["repair"] == job["links"]["repair"]
    assert api.http.get(shard_url(job, 1)).status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    problem_of(api.http.get(shard_url(job, 0)), status=410, slug="shard-expired")


def test_a_shard_that_expired_under_a_running_job_is_410(api: Api) -> None:
    """It was stored and told as done; nobody makes it again before the job ends."""
    job = api.accepted()
    api.run(job["id"], 0)
    api.parts.storage.delete(api.stored("shards/")[0])
    problem_of(api.http.get(shard_url(job, 0)), status=410, slug="shard-expired")


@pytest.fixture(scope="module")
def archive(lasting: Api) -> tuple[str, bytes]:
    """A shard's URL and its bytes."""
    job = lasting.completed(seed=4711)
    url = shard_url(job, 1)
    return url, lasting.http.get(url).content


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, None),
        ("bytes=0-", 0, None),
        ("bytes=-100", -100, None),
        ("bytes=-999999999", 0, None),
        ("bytes=100-999999999", 100, None),
    ],
)
def test_a_range_is_206(
    lasting: Api, archive: tuple[str, bytes], asked: str, start: int, stop: int | None
) -> None:
    """Exactly the bytes that were asked for, and where in the whole they belong."""
    url, whole = archive
    answer = lasting.http.get(url, headers={"Range": asked})
    first, last, _ = slice(start, stop).indices(len(whole))
    assert answer.status_code == 206
    assert answer.content == whole[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-3", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes 0-1", ""]
)
def test_a_range_not_understood_is_the_whole(
    lasting: Api, archive: tuple[str, bytes], asked: str
) -> None:
    """RFC 9110 lets a server ignore what it does not serve."""
    url, whole = archive
    answer = lasting.http.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, whole)


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=999999999-999999999", "bytes=-0"])
def test_a_range_behind_the_end_is_416(
    lasting: Api, archive: tuple[str, bytes], asked: str
) -> None:
    """The answer says how long the shard is."""
    url, whole = archive
    answer = lasting.http.get(url, headers={"Range": asked})
    problem_of(answer, status=416, slug="range-unsatisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


def test_a_broken_download_resumes(lasting: Api, archive: tuple[str, bytes]) -> None:
    """Half and the rest are the whole; if the object is another one by now, all of it is sent."""
    url, whole = archive
    with lasting.http.stream("GET", url) as answer:
        etag = answer.headers["ETag"]
        half = next(answer.iter_bytes(len(whole) // 2))
    rest = lasting.http.get(url, headers={"Range": f"bytes={len(half)}-", "If-Range": etag})
    assert (rest.status_code, half + rest.content) == (206, whole)
    other = lasting.http.get(url, headers={"Range": "bytes=5-", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole)


@pytest.mark.s3
def test_a_store_that_signs_serves_downloads_itself(
    redis_url: str, s3_place: dict[str, str]
) -> None:
    """307 to a URL that reads this one object for a while, and that no page passes on."""
    api = start_api(redis_url, **s3_place)
    publish(api.parts.storage, *tiny_decoder())
    job = api.completed(count=10)
    answer = api.http.get(shard_url(job, 0))
    place = urlsplit(answer.headers["Location"])
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert f"http://{place.netloc}" == s3_place["s3_endpoint_url"]
    assert "X-Amz-Signature" in place.query
    manifest = api.http.get(job["links"]["manifest"]).json()
    data = httpx.get(answer.headers["Location"]).content
    assert hashlib.sha256(data).hexdigest() == manifest["shards"][0]["sha256"]
    problem_of(
        api.http.get(shard_url(api.accepted(count=20), 0)), status=409, slug="shard-not-stored"
    )
    api.stop()
