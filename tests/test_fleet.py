"""What is told of the fleet and of the time left: counted by hand here, and true of what Redis and storage hold."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from service.adapters.fleet import REMEMBERED, SPAN_S
from service.adapters.ledger import Ledger
from service.contract.key import Scope
from service.contract.request import ResolvedRequest
from service.lifecycle.fleet import longest_share, look_kind, work_kind
from service.lifecycle.keys import create_key
from tests.fixtures.api import Api, problem_of

INFO = '{"onnxruntime": "1.32.0", "provider": "CPUExecutionProvider", "device": "x86_64-avx2"}'


def fleet_of(api: Api) -> Any:
    answer = api.http.get("/v1/fleet")
    assert answer.status_code == 200, answer.text
    return answer.json()


def estimate_of(api: Api, job_id: str) -> Any:
    answer = api.http.get(f"/v1/jobs/{job_id}/estimate")
    assert answer.status_code == 200, answer.text
    return answer.json()


def worked(api: Api, job: Any, *, samples: int, busy_ms: int) -> None:
    """As if shards like the job's had been made."""
    request = ResolvedRequest.model_validate(job["request"])
    api.parts.ledger.fleet.note_work(
        [work_kind(request)], samples=samples, size_bytes=1, busy_ms=busy_ms
    )


def test_an_idle_fleet_of_nobody(api: Api) -> None:
    """Nothing to do is no backlog; without a worker nobody can say how long anything takes."""
    assert fleet_of(api) == {
        "workers": [],
        "slots": 0,
        "cores": 0,
        "active_jobs": 0,
        "queued_messages": 0,
        "samples_left": 0,
        "samples_per_s": 0.0,
        "backlog_s": None,
    }


def test_the_backlog_counts_what_is_not_stored(api: Api) -> None:
    """Of every owner's unfinished jobs, running shards included, over all slots."""
    api.parts.ledger.heartbeat("one", slots=2, info=INFO, ttl_s=60)
    api.parts.ledger.heartbeat("two", slots=3, info=INFO, ttl_s=60)
    first, second = api.accepted(count=2500), api.accepted(count=1000, seed=2)
    api.run(first["id"], 0)
    now = fleet_of(api)
    assert (now["slots"], now["active_jobs"], now["samples_left"]) == (5, 2, 1476 + 1000)
    assert [worker["name"] for worker in now["workers"]] == ["one", "two"]
    assert now["workers"][0]["device"] == "x86_64-avx2"
    redis: Any = api.parts.ledger.fleet._redis
    redis.delete(*redis.keys("lm:work:*"))
    assert fleet_of(api)["backlog_s"] is None
    worked(api, second, samples=1000, busy_ms=2000)
    assert fleet_of(api)["backlog_s"] == pytest.approx(2476 * 0.002 / 5, abs=0.001)


def test_images_a_second_are_those_of_the_last_minute(ledger: Ledger) -> None:
    """Of whole spans alone, so that a span that has just begun does not pull it down."""
    redis: Any = ledger.fleet._redis
    now = int(redis.time()[0]) // SPAN_S
    for back, samples in ((0, 10**9), (1, 600), (6, 1200), (7, 10**9)):
        redis.set(f"lm:made:{now - back}", samples)
    assert ledger.fleet.samples_per_s() in (30.0, pytest.approx(10**9 / 60, rel=0.01))
    ledger.fleet.note_work(["kind"], samples=5, size_bytes=1, busy_ms=1)
    spans = redis.keys("lm:made:*")
    assert any(0 < redis.pttl(span) <= 2 * 60_000 for span in spans)


def test_what_was_made_long_ago_is_forgotten(ledger: Ledger) -> None:
    """A fleet that became twice as fast is soon believed."""
    note = ledger.fleet.note_work
    for _ in range(40):
        note(["kind"], samples=REMEMBERED // 20, size_bytes=100, busy_ms=2000)
    for _ in range(40):
        note(["kind"], samples=REMEMBERED // 20, size_bytes=100, busy_ms=1000)
    work = ledger.fleet.work("kind")
    assert work.samples <= REMEMBERED * 1.1
    assert 1000 <= work.busy_ms / work.samples * (REMEMBERED // 20) < 1400


def test_workers_that_forget_at_once_forget_half(ledger: Ledger) -> None:
    """Not all of it: what is left would be a ratio of two remainders."""
    made = {"samples": REMEMBERED // 20, "size_bytes": 100, "busy_ms": 1000}
    with ThreadPoolExecutor(8) as workers:
        for noted in [workers.submit(ledger.fleet.note_work, ["kind"], **made) for _ in range(400)]:
            noted.result()
    work = ledger.fleet.work("kind")
    assert REMEMBERED * 0.45 <= work.samples <= REMEMBERED * 1.1
    assert work.busy_ms / work.samples * (REMEMBERED // 20) == pytest.approx(1000, rel=0.01)


def test_jobs_before_it(api: Api) -> None:
    """An owner's earlier jobs come first; without a worker nobody can tell when."""
    first = api.accepted(count=1000)
    second = api.accepted(count=1000, seed=2)
    assert estimate_of(api, second["id"]) == {"jobs_ahead": 1, "seconds": None}
    api.parts.ledger.heartbeat("one", slots=2, info=INFO, ttl_s=60)
    worked(api, first, samples=1000, busy_ms=1000)
    # Its only shard is made in one slot, whatever the other does.
    assert estimate_of(api, first["id"]) == {"jobs_ahead": 0, "seconds": 1.0}
    assert estimate_of(api, second["id"]) == {"jobs_ahead": 1, "seconds": 1.0}


def test_owners_take_turns(api: Api) -> None:
    """Another owner delays a job by as much work as the caller has before it, and no more; nor may it be looked at."""
    keys = {
        name: create_key(
            api.parts.storage, name, (Scope.SUBMIT, Scope.READ), now=datetime.now(UTC)
        ).token
        for name in ("ann", "bob")
    }
    ann, bob = ({"Authorization": f"Bearer {keys[name]}"} for name in ("ann", "bob"))
    api.parts.ledger.heartbeat("one", slots=2, info=INFO, ttl_s=60)
    small, giant = api.accepted(count=1000, headers=ann), api.accepted(count=200_000, headers=bob)
    worked(api, small, samples=1000, busy_ms=1000)

    def seconds(job: Any, headers: dict[str, str]) -> float:
        answer = api.http.get(f"/v1/jobs/{job['id']}/estimate", headers=headers)
        assert answer.status_code == 200, answer.text
        return float(answer.json()["seconds"])

    assert seconds(small, ann) == pytest.approx(1.0)
    assert seconds(giant, bob) == pytest.approx(100.5)
    foreign = api.http.get(f"/v1/jobs/{small['id']}/estimate", headers=bob)
    problem_of(foreign, status=404, slug="unknown-job")
    problem_of(api.http.get("/v1/fleet", headers=bob), status=403, slug="scope-missing")


def test_a_job_that_has_ended_waits_for_nobody(api: Api) -> None:
    """Whatever else is left."""
    job = api.completed(count=10)
    api.accepted(count=1000, seed=5)
    assert estimate_of(api, job["id"]) == {"jobs_ahead": 0, "seconds": 0.0}


@pytest.mark.parametrize(
    ("samples", "slots", "longest"),
    [
        *((0, 2, 0), (10, 2, 10), (1024, 1, 1024), (1025, 1, 1025), (1025, 2, 1024)),
        *((2049, 2, 1025), (5 * 1024, 4, 2048), (4 * 1024 + 1, 4, 1025), (7 * 1024 + 9, 4, 2048)),
    ],
)
def test_a_shard_is_made_in_one_slot(samples: int, slots: int, longest: int) -> None:
    """The slot with most to make decides when a job ends, as shards handed out one by one show."""
    assert longest_share(samples, shard_size=1024, cores=slots) == longest
    made = [0] * slots
    for start in range(0, samples, 1024):
        made[made.index(min(made))] += min(1024, samples - start)
    assert max(made) == longest


def test_a_quote_is_of_the_slot_with_most_to_make(api: Api) -> None:
    """Five shards on two slots take three rounds; what is stored takes no time."""
    body = {"decoder": "tiny", "label": 3, "seed": 42, "shard_size": 1024}

    def seconds(count: int) -> float:
        answer = api.http.post("/v1/quotes", json=body | {"count": count})
        return float(answer.json()["seconds"])

    stored = api.completed(count=1024)
    api.parts.ledger.heartbeat("one", slots=2, info=INFO, ttl_s=60)
    # So much that what the one shard took is lost in it: a second for 1,024 samples.
    worked(api, stored, samples=1024 * 500, busy_ms=500_000)
    assert seconds(1024) == 0
    assert seconds(2 * 1024) == seconds(3 * 1024) == pytest.approx(1, rel=0.01)
    assert seconds(6 * 1024) == pytest.approx(3, rel=0.01)


def test_a_quote_knows_how_labels_look(api: Api) -> None:
    """Bytes of a label are those that it took before; of a mix, those of its labels; else those of the decoder."""
    made = {label: api.completed(label=label, count=2048)["id"] for label in (1, 8)}
    sizes = {
        label: api.http.get(f"/v1/jobs/{job_id}/manifest").json()["size_bytes"] / 2048
        for label, job_id in made.items()
    }

    def quoted(**fields: object) -> float:
        body = {"decoder": "tiny", "seed": 77, "shard_size": 1024} | fields
        return float(api.http.post("/v1/quotes", json=body).json()["bytes"])

    assert quoted(label=1, count=4096) == pytest.approx(4096 * sizes[1], abs=1)
    assert quoted(label=8, count=4096) == pytest.approx(4096 * sizes[8], abs=1)
    mixed = quoted(labels={"1": 3072, "8": 1024})
    assert mixed == pytest.approx(3072 * sizes[1] + 1024 * sizes[8], abs=1)
    assert quoted(label=5, count=4096) == pytest.approx(2048 * (sizes[1] + sizes[8]), abs=1)
    request = ResolvedRequest.model_validate(api.job(made[1])["request"])
    assert look_kind(request, "1") != look_kind(request, "8")


def test_a_store_that_cannot_sign_has_no_link(api: Api) -> None:
    """The bytes are read from the API then; a shard that is not there is refused like its bytes."""
    job = api.completed(count=10)
    link = api.http.get(f"/v1/jobs/{job['id']}/shards/0/link")
    assert link.json() == {"url": None, "expires_s": None}
    refused = api.http.get(f"/v1/jobs/{job['id']}/shards/1/link")
    problem_of(refused, status=404, slug="unknown-shard")


def test_labels_are_told_from_any_sample_on(api: Api) -> None:
    """In a mix and out of one, to the last sample."""
    mixed = api.accepted(labels={"3": 3, "4": 1}, label=None, count=None)
    answer = api.http.get(f"/v1/jobs/{mixed['id']}/labels", params={"start": 1, "limit": 9})
    assert answer.json() == {"start": 1, "labels": ["3", "3", "4"]}
    plain = api.accepted(count=3)
    answer = api.http.get(f"/v1/jobs/{plain['id']}/labels", params={"start": 2})
    assert answer.json() == {"start": 2, "labels": ["3"]}
    past = api.http.get(f"/v1/jobs/{plain['id']}/labels", params={"start": 99})
    assert past.json() == {"start": 99, "labels": []}
    problem_of(
        api.http.get(f"/v1/jobs/{plain['id']}/labels", params={"limit": 1001}),
        status=422,
        slug="invalid-request",
    )


def test_a_worker_of_a_later_version_is_told_too(api: Api) -> None:
    """Two versions share one Redis while a fleet is upgraded; what is not known is left out."""
    api.parts.ledger.heartbeat("new", slots=1, info='{"provider": "X", "colour": "red"}', ttl_s=60)
    told = fleet_of(api)["workers"]
    assert told == [
        {"name": "new", "slots": 1, "cores": 1, "onnxruntime": "", "provider": "X", "device": ""}
    ]
