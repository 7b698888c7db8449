"""Submitting over HTTP: what a 202 says and what is stored by then."""

import json
from typing import Any

import pytest

from export.publish import publish
from service.contract import layout
from service.contract.request import DRAWN_SEED_LIMIT
from tests.fixtures.api import Api, problem_of, start_api
from tests.fixtures.decoders import tiny_decoder


def test_a_submit_answers_202_with_the_job(api: Api) -> None:
    """Where to look, when to look again, and the whole job: every default is filled in and told."""
    answer = api.http.post("/v1/jobs", json={"decoder": "tiny", "label": 3, "count": 20_000})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Idempotency-Replayed" not in answer.headers
    assert job["status"] == "queued"
    assert job["progress"] == {
        "samples_total": 20_000,
        "samples_done": 0,
        "shards_total": 2,
        "shards_done": 0,
        "shards_reused": 0,
    }
    _, card = tiny_decoder()
    assert job["request"] == {
        "decoder": "tiny",
        "digest": card.digest,
        "label": "3",
        "count": 20_000,
        "seed": job["request"]["seed"],
        "temperature_milli": 1000,
        "format": "zip",
        "compression": "fast",
        "shard_size": 16_384,
    }
    assert (job["started_at"], job["finished_at"], job["error"]) == (None, None, None)
    assert set(job["links"]) == {"self", "cancel", "estimate", "shards", "events"}


def test_what_was_accepted_is_in_storage_before_the_202(api: Api) -> None:
    """The body as given and as resolved, the marker for a rebuild, the entry of the listing."""
    job = api.accepted(label=3, seed=42)
    request, marker, entry = api.stored("jobs/") + api.stored("active/") + api.stored("log/")
    stored = json.loads(api.parts.storage.get(request))
    assert request == layout.job_request(job["id"])
    assert marker == layout.active(job["id"])
    assert entry.endswith(job["id"])
    assert stored["given"]["label"] == 3
    assert stored["resolved"] == job["request"]


def test_a_seed_left_out_is_drawn_and_told(api: Api) -> None:
    """Drawn seeds differ, and a JavaScript client reads them without loss."""
    body = {"decoder": "tiny", "label": 3, "count": 10}
    seeds = {api.http.post("/v1/jobs", json=body).json()["request"]["seed"] for _ in range(5)}
    assert len(seeds) == 5
    assert all(0 <= seed < DRAWN_SEED_LIMIT for seed in seeds)
    assert max(seeds) > 2**40


@pytest.mark.parametrize("seed", [0, "0", 42, "42", 2**63 - 1, str(2**63 - 1)])
def test_a_seed_is_an_integer_or_its_decimal_string(api: Api, seed: int | str) -> None:
    """Every seed of the contract passes unchanged, also the largest."""
    assert api.accepted(seed=seed)["request"]["seed"] == int(seed)


def test_the_number_and_the_string_of_a_label_are_one_recipe(api: Api) -> None:
    """`3` and `"3"` ask for the same images and share their shards."""
    number, text = api.completed(label=3), api.completed(label="3")
    assert number["request"] == text["request"]
    assert text["progress"]["shards_reused"] == 3
    assert len(api.stored("shards/")) == 3


def test_a_decoder_may_be_pinned(api: Api) -> None:
    """`name@digest` keeps its version when another one is promoted; the bare name follows."""
    _, old = tiny_decoder()
    onnx, new = tiny_decoder(seed=1)
    publish(api.parts.storage, onnx, new)
    assert api.accepted(decoder="tiny")["request"]["digest"] == new.digest
    pinned = api.accepted(decoder=f"tiny@{old.digest}")["request"]
    assert (pinned["decoder"], pinned["digest"]) == ("tiny", old.digest)


def test_options_are_kept(api: Api) -> None:
    """What is asked for is what is resolved; temperature is told in thousandths."""
    options: dict[str, Any] = {"format": "npz", "compression": "small", "shard_size": 2048}
    request = api.accepted(temperature=0.75, **options)["request"]
    assert request["temperature_milli"] == 750
    assert {name: request[name] for name in options} == options


def test_too_many_active_jobs_are_429_and_leave_nothing(redis_url: str, folder_url: str) -> None:
    """A refused submit is told when to come back, and no job of it appears, now or later."""
    api = start_api(redis_url, folder_url, max_active_jobs=2)
    publish(api.parts.storage, *tiny_decoder())
    first = [api.accepted(seed=seed)["id"] for seed in (1, 2)]
    before = api.stored()
    refused = api.submit(seed=3, headers={"Idempotency-Key": "three"})
    problem_of(refused, status=429, slug="too-many-jobs")
    assert int(refused.headers["Retry-After"]) >= 1
    assert api.stored() == before
    api.http.post(f"/v1/jobs/{first[0]}/cancel")
    assert api.accepted(seed=3, headers={"Idempotency-Key": "three"})["status"] == "queued"
    api.stop()


def test_a_completed_job_makes_room(redis_url: str, folder_url: str) -> None:
    """The limit is on jobs that have not ended."""
    api = start_api(redis_url, folder_url, max_active_jobs=1)
    publish(api.parts.storage, *tiny_decoder())
    for seed in range(3):
        api.completed(seed=seed, count=10)
    api.stop()
