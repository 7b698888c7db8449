"""The client's own logic, against a server that answers as badly as a script wants it."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from latentmill import Client
from latentmill.errors import (
    AnswerUnexpected,
    ArchiveBroken,
    JobFailed,
    RequestInvalid,
    ServerUnreachable,
    ShardExpired,
    TooManyJobs,
    Unavailable,
    UnknownJob,
)
from latentmill.problems import error_of, slug

from service.api.problems import _PROBLEMS
from service.contract.job import Job, Progress
from service.contract.manifest import Manifest, ManifestShard, Profile
from service.contract.recipe import Compression, Format
from service.contract.request import ResolvedRequest
from service.contract.value import sha256_hex
from tests.fixtures.rude_server import Answer, scripted

JOB_ID = "job-of-the-script"
BODY = b"an archive" * 1000
REQUEST = ResolvedRequest(
    decoder="tiny",
    digest="d" * 64,
    label="3",
    count=10,
    seed=1,
    temperature_milli=1000,
    format=Format.ZIP,
    compression=Compression.FAST,
    shard_size=1024,
)
PROFILE = Profile(decoder="d" * 64, onnxruntime="1", provider="CPU", device="x", encoder="e")


def job_json(status: str = "completed", **more: Any) -> bytes:
    job = Job(
        id=JOB_ID,
        status=status,  # type: ignore[arg-type]
        request=REQUEST,
        progress=Progress(),
        created_at=datetime.now(UTC),
    )
    return json.dumps(job.model_dump(mode="json") | more).encode()


def manifest_json(sha256: str = sha256_hex(BODY)) -> bytes:
    shard = ManifestShard(
        index=0,
        start=0,
        stop=10,
        key="../../../outside.zip",
        size_bytes=len(BODY),
        sha256=sha256,
        images_root="0" * 64,
        profile=PROFILE.id,
    )
    manifest = Manifest(
        id=JOB_ID,
        request=REQUEST,
        recipe=REQUEST.recipe,
        recipe_digest=REQUEST.recipe.digest,
        size_bytes=len(BODY),
        images_root="0" * 64,
        profiles={PROFILE.id: PROFILE},
        shards=(shard,),
    )
    return manifest.to_json()


def problem(status: int, kind: str, **headers: str) -> Answer:
    body = {"type": f"urn:latentmill:{kind}", "status": status, "detail": f"{kind}!"}
    return Answer(
        status, json.dumps(body).encode(), {h.replace("_", "-"): v for h, v in headers.items()}
    )


HERE, MANIFEST = f"/v1/jobs/{JOB_ID}", f"/v1/jobs/{JOB_ID}/manifest"
SHARD = f"/v1/jobs/{JOB_ID}/shards/0"


def test_a_retried_post_carries_one_key() -> None:
    """A submit that the server could not take is sent again under the same drawn key."""
    answers = {
        "/v1/jobs": [problem(503, "unavailable"), Answer(502), Answer(202, job_json("queued"))]
    }
    with scripted(answers) as script, Client(script.url) as client:
        assert client.submit("tiny", 3, count=10).id == JOB_ID
        keys = {headers["Idempotency-Key"] for _, _, headers in script.seen}
        assert (len(script.seen), len(keys)) == (3, 1)


def test_a_connection_that_breaks_is_made_again() -> None:
    """An answer that breaks off in the middle is asked for again, not handed on."""
    answers = {HERE: [Answer(200, job_json(), cut=20), Answer(200, job_json())]}
    with scripted(answers) as script, Client(script.url) as client:
        assert client.job(JOB_ID).status == "completed"
        assert script.count(HERE) == 2


def test_the_server_says_when_to_come_back() -> None:
    """`Retry-After` is waited for, also on 429."""
    answers = {
        "/v1/jobs": [problem(429, "too-many-jobs", Retry_After="1"), Answer(202, job_json())]
    }
    started = time.monotonic()
    with scripted(answers) as script, Client(script.url) as client:
        client.submit("tiny", 3, count=10)
    assert time.monotonic() - started >= 1


def test_patience_ends() -> None:
    """A server that stays busy longer than the patience is an error, at once if it says so."""
    answers = {HERE: [problem(503, "unavailable", Retry_After="60")]}
    started = time.monotonic()
    with scripted(answers) as script, Client(script.url, patience_s=5) as client:
        with pytest.raises(Unavailable, match="unavailable!"):
            client.job(JOB_ID)
        assert script.count(HERE) == 1
    assert time.monotonic() - started < 3


def test_a_server_that_goes_away_is_waited_for() -> None:
    """After a first answer the client is patient; in the end it says that nobody answers."""
    with scripted({HERE: [Answer(200, job_json())]}) as script:
        client = Client(script.url, patience_s=1.5)
        client.job(JOB_ID)
    started = time.monotonic()
    with client, pytest.raises(ServerUnreachable, match=script.url):
        client.job(JOB_ID)
    assert time.monotonic() - started > 0.5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(404, "unknown-job"), UnknownJob),
        (problem(422, "invalid-request"), RequestInvalid),
        (problem(410, "shard-expired"), ShardExpired),
        (Answer(422, b'{"detail": []}'), RequestInvalid),
        (Answer(404, b"<html>"), AnswerUnexpected),
        (Answer(500, b"[1]"), AnswerUnexpected),
    ],
)
def test_refusals_become_errors_of_the_tree(answer: Answer, error: type[Exception]) -> None:
    """Each problem is its own error; what is no problem of ours is said to be unexpected."""
    with scripted({HERE: [answer]}) as script, Client(script.url) as client:
        with pytest.raises(error):
            client.job(JOB_ID)
        assert script.count(HERE) == 1


def test_every_problem_of_the_api_is_understood() -> None:
    """The slugs that the API sends are those that the client reads, so that no refusal is unexpected."""
    import httpx

    for kind, status, sent, _ in _PROBLEMS:
        answer = httpx.Response(
            status,
            json={"type": f"urn:latentmill:{sent}", "detail": "why"},
            request=httpx.Request("GET", "http://server/"),
        )
        understood = type(error_of(answer))
        if kind.__module__.startswith("service.contract"):
            assert understood is kind
            assert sent in (slug(kind), "invalid-request")


def test_the_reason_of_a_failure_is_told() -> None:
    """Whoever waits for a job that fails is told why."""
    answers = {HERE: [Answer(200, job_json("failed", error="the decoder is gone"))]}
    with (
        scripted(answers) as script,
        Client(script.url) as client,
        pytest.raises(JobFailed, match="the decoder is gone"),
    ):
        client.wait(JOB_ID)


def test_a_newer_server_may_tell_more() -> None:
    """Fields that this client does not know are passed over."""
    with (
        scripted({HERE: [Answer(200, job_json(mood="good"))]}) as script,
        Client(script.url) as client,
    ):
        assert client.job(JOB_ID).id == JOB_ID


def test_a_download_that_breaks_off_starts_again(tmp_path: Path) -> None:
    """Half a body is thrown away, counted back, and fetched anew; no partial file is left."""
    answers = {
        MANIFEST: [Answer(200, manifest_json())],
        SHARD: [Answer(200, BODY, cut=5000), problem(503, "unavailable"), Answer(200, BODY)],
    }
    told: list[int] = []
    with scripted(answers) as script, Client(script.url) as client:
        (path,) = client.download(JOB_ID, tmp_path, lambda done, _: told.append(done))
    assert path.read_bytes() == BODY
    assert told[-1] == len(BODY)
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "manifest.json"}


def test_names_of_files_are_not_taken_from_the_server(tmp_path: Path) -> None:
    """A key that points elsewhere does not decide where a download is written."""
    answers = {MANIFEST: [Answer(200, manifest_json())], SHARD: [Answer(200, BODY)]}
    with scripted(answers) as script, Client(script.url) as client:
        (path,) = client.download(JOB_ID, tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "000000000000-000000000010.zip"


def test_redirects_to_storage_are_followed(tmp_path: Path) -> None:
    """A signed URL of another server gives the bytes."""
    with scripted({"/bucket/object?signature=1": [Answer(200, BODY)]}) as storage:
        there = Answer(307, b"", {"Location": f"{storage.url}/bucket/object?signature=1"})
        answers = {MANIFEST: [Answer(200, manifest_json())], SHARD: [there]}
        with scripted(answers) as script, Client(script.url) as client:
            (path,) = client.download(JOB_ID, tmp_path)
    assert path.read_bytes() == BODY


def test_wrong_bytes_never_get_the_name(tmp_path: Path) -> None:
    """Bytes that stay wrong are refused after a few tries, naming the shard, and leave no file."""
    answers = {MANIFEST: [Answer(200, manifest_json(sha256="0" * 64))], SHARD: [Answer(200, BODY)]}
    with scripted(answers) as script, Client(script.url) as client:
        with pytest.raises(ArchiveBroken, match="shard 0"):
            client.download(JOB_ID, tmp_path)
        assert script.count(SHARD) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_too_many_jobs_is_said_when_patience_ends() -> None:
    """A limit that does not lift is told as what it is."""
    answers = {"/v1/jobs": [problem(429, "too-many-jobs")]}
    with scripted(answers) as script, Client(script.url, patience_s=0.3) as client:
        with pytest.raises(TooManyJobs):
            client.submit("tiny", 3, count=10)
        assert script.count("/v1/jobs") > 1
