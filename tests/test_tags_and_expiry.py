"""What a request says beside its recipe: tags to find the job by, and how long it may wait to be begun."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.adapters.ledger import Ledger, Verdict
from service.contract.job import Status
from service.contract.request import MOST_TAGS
from service.lifecycle.dispatch import dispatch
from service.lifecycle.rebuild import rebuild
from tests.fixtures.api import Api, pointers
from tests.fixtures.ledger import CREATED_AT, Clock, resolved
from tests.fixtures.parts import ask

NIGHT = {"run": "night-7", "team": "vision/eu"}


def listed(api: Api, *tags: str) -> list[str]:
    answer = api.http.get("/v1/jobs", params={"tag": list(tags)})
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


def test_jobs_are_found_by_their_tags(api: Api) -> None:
    """All that are asked for must fit; before and after the end, from Redis and from storage."""
    both = api.completed(count=10, tags=NIGHT)
    one = api.accepted(count=10, tags={"run": "night-7"})
    api.accepted(count=10, seed=3)
    assert both["tags"] == api.job(both["id"])["tags"] == NIGHT
    assert listed(api, "run=night-7") == [one["id"], both["id"]]
    assert listed(api, "run=night-7", "team=vision/eu") == [both["id"]]
    assert listed(api, "run=night-8") == []
    api.parts.ledger._redis.flushall()
    assert listed(api, "run=night-7") == [one["id"], both["id"]]


def test_tags_are_no_part_of_the_recipe(api: Api) -> None:
    """Another job's shards are used again; a replay is held to its own tags."""
    first = api.completed(count=10, tags=NIGHT)
    again = api.completed(count=10, tags={"run": "day"})
    assert again["progress"]["shards_reused"] == 1
    assert again["request"] == first["request"]
    key = {"Idempotency-Key": "the same key"}
    api.accepted(count=10, tags=NIGHT, headers=key)
    assert api.submit(count=10, tags={"run": "day"}, headers=key).status_code == 422


@pytest.mark.parametrize(
    "tags",
    [
        {"": "a"},
        {"a": ""},
        {"a b": "c"},
        {"a": "c=d"},
        {"a": 1},
        {"a": "x" * 65},
        ["a"],
        None,
        {f"n{number}": "v" for number in range(MOST_TAGS + 1)},
    ],
)
def test_a_tag_that_is_none_is_refused(api: Api, tags: Any) -> None:
    """Names and values are short, plain words, sixteen at most."""
    assert pointers(api.http.post("/v1/jobs", json=ask(tags=tags))) == ["/tags"]
    assert api.stored() == []


@pytest.mark.parametrize("tag", ["run", "=a", "a=", "a=b=c", "x" * 65 + "=a"])
def test_a_filter_that_is_none_is_refused(api: Api, tag: str) -> None:
    """A misspelt filter is not ignored."""
    assert pointers(api.http.get("/v1/jobs", params={"tag": tag}))[0].startswith("/tag")


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", 30 * 86_400 + 1])
def test_a_time_that_is_none_is_refused(api: Api, seconds: Any) -> None:
    """Whole seconds, from one to thirty days."""
    assert pointers(api.http.post("/v1/jobs", json=ask(expires_in_s=seconds))) == ["/expires_in_s"]


def test_a_job_that_nobody_begins_in_time_fails_with_the_reason(api: Api) -> None:
    """No worker was there; what comes later finds the job ended, and the outcome says why."""
    job = api.accepted(count=10, expires_in_s=1)
    created, expires = (datetime.fromisoformat(job[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(seconds=1)
    time.sleep(1.1)
    dispatch(api.parts, limit=10)
    ended = api.job(job["id"])
    assert ended["status"] == "failed"
    assert ended["error"] == "it was not started before it expired"
    assert ended["expires_at"] == job["expires_at"]
    assert api.run(job["id"], 0) in (Verdict.STOP, Verdict.GONE)


def test_a_message_that_comes_too_late_begins_nothing(api: Api) -> None:
    """A worker that takes it ends the job instead."""
    job = api.accepted(count=10, expires_in_s=1)
    time.sleep(1.1)
    assert api.run(job["id"], 0) == Verdict.FAIL
    assert api.job(job["id"])["status"] == "failed"
    assert not [key for key in api.stored() if key.startswith("shards/")]


def test_a_job_that_was_begun_in_time_takes_its_time(api: Api) -> None:
    """One shard is enough; the others may be late."""
    job = api.accepted(count=2500, expires_in_s=1)
    api.run(job["id"], 0)
    time.sleep(1.1)
    for index in (1, 2):
        api.run(job["id"], index)
    assert api.job(job["id"])["status"] == "completed"


def test_a_job_expires_also_when_redis_was_lost(api: Api) -> None:
    """Storage remembers when."""
    job = api.accepted(count=10, expires_in_s=1)
    api.parts.ledger._redis.flushall()
    time.sleep(1.1)
    rebuild(api.parts)
    dispatch(api.parts, limit=10)
    assert api.job(job["id"])["error"] == "it was not started before it expired"


def test_a_job_is_looked_at_when_it_expires(ledger: Ledger, clock: Clock) -> None:
    """Not only when its messages, which wait in a long queue, are sent again."""
    ledger.create(
        "job-0001",
        owner="ann",
        request=resolved(10),
        created_at=CREATED_AT,
        expires_at=datetime.fromtimestamp(clock.ms / 1000 + 7, CREATED_AT.tzinfo),
    )
    assert ledger.claim("job-0001", window=4, room=4).shards == [0]
    clock.pass_s(6)
    assert ledger.due(10) == []
    clock.pass_s(2)
    assert ledger.due(10) == ["job-0001"]
    assert ledger.claim("job-0001", window=4, room=4).status == Status.FAILING
