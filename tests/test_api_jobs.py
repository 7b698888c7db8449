"""Jobs over HTTP once they are accepted: look, list, cancel, forget, repair, quote."""

import time
from datetime import datetime
from typing import Any

import pytest
import redis

from service.contract import layout
from service.contract.job import Status
from tests.fixtures.api import Api, pointers, problem_of
from workers.repair import repair_job

UNKNOWN = "0123456789abcdef0123456789abcdef"


def forget_all(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


def test_a_job_tells_how_far_it_is(api: Api) -> None:
    """Every stored shard counts at once; moments come in the order of a life."""
    job = api.accepted()
    assert (job["status"], job["progress"]["samples_done"]) == ("queued", 0)
    api.run(job["id"], 0)
    running = api.http.get(job["links"]["self"])
    assert running.json()["status"] == "running"
    progress = running.json()["progress"]
    assert (progress["samples_done"], progress["shards_done"]) == (1024, 1)
    assert int(running.headers["Retry-After"]) >= 1
    api.run(job["id"], 1)
    api.run(job["id"], 2)
    done = api.http.get(job["links"]["self"])
    assert "Retry-After" not in done.headers
    body = done.json()
    assert body["status"] == "completed"
    assert (body["progress"]["samples_done"], body["progress"]["shards_done"]) == (2500, 3)
    moments = [body["created_at"], body["started_at"], body["finished_at"]]
    assert moments == sorted(moments)
    assert all(datetime.fromisoformat(moment).tzinfo for moment in moments)
    assert set(body["links"]) == {"self", "shards", "events", "manifest", "croissant", "repair"}


def test_a_finished_job_outlives_redis(api: Api, redis_url: str) -> None:
    """What a client was told never changes, whoever is asked for it."""
    done = api.completed()
    forget_all(redis_url)
    assert api.job(done["id"]) == done


@pytest.mark.parametrize(
    "job_id",
    [
        UNKNOWN,
        "x",
        "..",
        "%2e%2e",
        "..%2f..",
        "..%2f..%2fdecoders",
        "%00",
        "job%0a",
        "job%0d%0aSet-Cookie:%20a=b",
        "%ff%fe",
        "日本",
        "%F0%9F%8E%B2" * 3,
        "*" * 32,
        "a" * 65,
        "a" * 8000,
        "abcdefgh%0a",
        "abcdefgh%20",
        "{job_id}",
    ],
)
@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/manifest"),
        ("GET", "/shards/0"),
        ("POST", "/repair"),
        ("GET", "/repair"),
    ],
)
def test_an_unknown_id_is_404(lasting: Api, method: str, below: str, job_id: str) -> None:
    """Never 'pending', never a fault of ours, and no spelling of an id reaches beyond the jobs."""
    answer = lasting.http.request(method, f"/v1/jobs/{job_id}{below}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] in ("urn:latentmill:unknown-job", "urn:latentmill:not-found")
    assert "Set-Cookie" not in answer.headers


def test_cancelling_is_202_once(api: Api) -> None:
    """The job ends cancelled; asking again is a conflict, and its stored shards stay."""
    job = api.accepted()
    api.run(job["id"], 0)
    cancelled = api.http.post(job["links"]["cancel"])
    assert cancelled.status_code == 202
    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert "cancel" not in cancelled.json()["links"]
    again = api.http.post(job["links"]["cancel"])
    assert "cancelled" in problem_of(again, status=409, slug="job-not-cancellable")["detail"]
    assert api.run(job["id"], 1) in ("STOP", "GONE")
    assert api.job(job["id"])["status"] == "cancelled"
    assert api.http.get(f"{job['links']['self']}/shards/0").status_code == 200


def test_a_completed_job_cannot_be_cancelled(api: Api, redis_url: str) -> None:
    """What was told as completed stays so, also when Redis forgot it."""
    done = api.completed()
    for _ in range(2):
        answer = api.http.post(f"/v1/jobs/{done['id']}/cancel")
        problem_of(answer, status=409, slug="job-not-cancellable")
        forget_all(redis_url)
    assert api.job(done["id"]) == done


def test_a_job_that_redis_forgot_can_be_cancelled(api: Api, redis_url: str) -> None:
    """Cancelling does not have to wait for a rebuild."""
    job = api.accepted()
    forget_all(redis_url)
    assert api.http.post(job["links"]["cancel"]).status_code == 202
    assert api.job(job["id"])["status"] == "cancelled"


def test_deleting_forgets_the_records_and_keeps_the_shards(api: Api) -> None:
    """The job is unknown from then on and out of the list; its images serve the next who asks."""
    done = api.completed()
    gone = api.http.delete(done["links"]["self"])
    assert (gone.status_code, gone.content) == (204, b"")
    problem_of(api.http.get(done["links"]["self"]), status=404, slug="unknown-job")
    problem_of(api.http.delete(done["links"]["self"]), status=404, slug="unknown-job")
    assert api.http.get("/v1/jobs").json() == {"jobs": [], "next": None}
    assert api.stored() == api.stored("shards/") != []
    assert api.completed()["progress"]["shards_reused"] == 3


def test_a_job_that_redis_forgot_can_be_deleted(api: Api, redis_url: str) -> None:
    """The listing's entry is found again from what storage says of the job."""
    done = api.completed()
    forget_all(redis_url)
    assert api.http.delete(done["links"]["self"]).status_code == 204
    assert api.stored("log/") == api.stored("jobs/") == []


def test_a_job_that_moves_cannot_be_deleted(api: Api) -> None:
    """Forgetting accepted work would lose it: it must be cancelled first."""
    job = api.accepted()
    problem_of(api.http.delete(job["links"]["self"]), status=409, slug="job-unfinished")
    assert api.job(job["id"])["status"] == "queued"
    api.http.post(job["links"]["cancel"])
    assert api.http.delete(job["links"]["self"]).status_code == 204


def accepted_in_order(api: Api, count: int) -> list[str]:
    ids = []
    for seed in range(count):
        ids.append(api.accepted(seed=seed)["id"])
        # The list knows milliseconds.
        time.sleep(0.002)
    return ids


def listed(api: Api, **query: Any) -> tuple[list[str], str | None]:
    answer = api.http.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]], answer.json()["next"]


def test_the_list_is_paged_newest_first(api: Api, redis_url: str) -> None:
    """Following the cursors shows every job once, also without Redis's memory."""
    newest_first = accepted_in_order(api, 7)[::-1]
    assert listed(api) == (newest_first, None)
    for _ in range(2):
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            page, cursor = listed(api, limit=3, cursor=cursor)
            seen, pages = seen + page, pages + 1
        assert (seen, pages) == (newest_first, 3)
        forget_all(redis_url)


def test_a_page_stays_where_it_was_when_jobs_come_and_go(api: Api) -> None:
    """A cursor names a place, not a number: nothing is skipped or shown twice."""
    ids = accepted_in_order(api, 4)
    first, cursor = listed(api, limit=2)
    newer = accepted_in_order(api, 1)
    api.http.post(f"/v1/jobs/{first[1]}/cancel")
    api.http.delete(f"/v1/jobs/{first[1]}")
    second, _ = listed(api, limit=2, cursor=cursor)
    assert first + second == ids[::-1]
    assert listed(api, limit=1)[0] == newer


def test_the_list_shows_what_a_look_at_the_job_shows(api: Api) -> None:
    """One job, one description, links included."""
    job = api.accepted()
    assert api.http.get("/v1/jobs").json()["jobs"] == [api.job(job["id"])]


def test_the_list_can_be_filtered_by_status(api: Api) -> None:
    """Every status is a filter; a page goes on behind jobs of other statuses."""
    waiting, stopped = api.accepted(seed=1)["id"], api.accepted(seed=2)["id"]
    api.http.post(f"/v1/jobs/{stopped}/cancel")
    done = api.completed(seed=3)["id"]
    found = {status.value: listed(api, status=status.value)[0] for status in Status}
    assert found == {status.value: [] for status in Status} | {
        "queued": [waiting],
        "cancelled": [stopped],
        "completed": [done],
    }
    assert listed(api, status="queued", limit=1)[0] == [waiting]


def test_a_cursor_is_not_a_path(api: Api) -> None:
    """A cursor that was made up is refused before it becomes part of an object key."""
    assert pointers(api.http.get("/v1/jobs?cursor=Li4vLi4vLi4vZXRj")) == ["/cursor"]


def test_a_broken_shard_is_repaired(api: Api) -> None:
    """The report can be asked for from 202 to the end, and the bytes are the old ones."""
    done = api.completed()
    here, key = done["links"]["repair"], api.stored("shards/")[1]
    problem_of(api.http.get(here), status=404, slug="unknown-job")
    whole = api.parts.storage.get(key)
    api.parts.storage.put(key, whole[:-1])
    asked = api.http.post(here)
    assert asked.status_code == 202
    assert asked.headers["Location"] == here
    assert (asked.json()["status"], asked.json()["finished_at"]) == ("queued", None)
    repair_job(api.studio, done["id"])
    report = api.http.get(here).json()
    assert (report["status"], report["shards_checked"]) == ("completed", 3)
    assert (report["repaired"], report["unrepairable"]) == ([1], {})
    assert api.parts.storage.get(key) == whole


def test_only_a_completed_job_is_repaired(api: Api) -> None:
    """Nothing is known of what a running or cancelled job's shards should be."""
    job = api.accepted()
    here = f"{job['links']['self']}/repair"
    problem_of(api.http.post(here), status=409, slug="nothing-to-repair")
    api.http.post(job["links"]["cancel"])
    problem_of(api.http.post(here), status=409, slug="nothing-to-repair")
    assert layout.job_repair(job["id"]) not in api.stored("jobs/")


def quoted(api: Api, **fields: Any) -> Any:
    body = {"decoder": "tiny", "label": 3, "count": 5000, "seed": 42, "shard_size": 1024} | fields
    answer = api.http.post("/v1/quotes", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_quote_knows_what_is_stored(api: Api) -> None:
    """Sizes and times come from shards that were made; without any they are unknown. Nothing is written."""
    before = api.stored()
    fresh = {"samples": 5000, "shards": 5, "shards_stored": 0, "bytes": None, "seconds": None}
    assert quoted(api) == fresh | {"first_labels": ["3"] * 24}
    assert api.stored() == before == []
    api.completed(count=4096)
    api.parts.ledger.heartbeat("worker", slots=2, info="{}", ttl_s=60)
    quote = quoted(api)
    assert (quote["samples"], quote["shards"], quote["shards_stored"]) == (5000, 5, 4)
    assert 5000 * 64 < quote["bytes"] < 5000 * 1000
    assert 0 < quote["seconds"] < quoted(api, count=50_000)["seconds"]
    assert quoted(api, seed=None)["shards_stored"] == 0
    assert quoted(api, count=4096)["seconds"] == 0


def test_a_quote_for_the_largest_job_comes_in_time(api: Api) -> None:
    """A hundred million samples in the smallest shards."""
    started = time.monotonic()
    assert quoted(api, count=100_000_000)["shards"] == 97_657
    assert time.monotonic() - started < 10
