"""`Idempotency-Key` over HTTP: asking twice is asking once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from export.publish import publish
from tests.fixtures.api import Api, problem_of, start_api
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import ask

KEY = {"Idempotency-Key": "order 4711"}


@pytest.mark.parametrize("fields", [{"seed": 42}, {}], ids=["seed given", "seed drawn"])
def test_50_concurrent_submits_with_one_key_make_one_job(api: Api, fields: dict[str, int]) -> None:
    """All get the same job, also where each attempt drew another seed; one request, one marker are stored."""
    body = {"decoder": "tiny", "label": 3, "count": 2500, **fields}

    def send(_: int) -> httpx.Response:
        with httpx.Client(base_url=api.http.base_url, timeout=30) as http:
            return http.post("/v1/jobs", json=body, headers=KEY)

    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(send, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.json()["request"]["seed"] for answer in answers}) == 1
    assert [len(api.stored(prefix)) for prefix in ("jobs/", "active/", "log/")] == [1, 1, 1]
    assert len(api.parts.ledger.unfinished()) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


def test_a_replay_says_that_it_is_one(api: Api) -> None:
    """The answer is the job as it is now, marked as no new one."""
    first, again = api.submit(headers=KEY), api.submit(headers=KEY)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json() == first.json()


def test_spelling_does_not_make_another_body(api: Api) -> None:
    """White space and the order of fields are not what a client means to say."""
    first = api.accepted(headers=KEY)
    content = b'{ "shard_size":1024,"seed":42,\n"count":2500,"label":3,"decoder":"tiny"}'
    again = api.http.post("/v1/jobs", content=content, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])


def test_another_body_with_the_same_key_is_422(api: Api) -> None:
    """A key that was used for something else is a client's mistake, and changes nothing."""
    first = api.accepted(headers=KEY)
    before = api.stored()
    problem_of(api.submit(seed=43, headers=KEY), status=422, slug="idempotency-conflict")
    assert api.stored() == before
    assert api.job(first["id"])["request"]["seed"] == 42


def test_another_key_is_another_job(api: Api) -> None:
    """The same body under two keys, or under none, is ordered twice."""
    ids = {
        api.accepted(headers=headers)["id"]
        for headers in (KEY, {"Idempotency-Key": "order 4712"}, None, None)
    }
    assert len(ids) == 4


@pytest.mark.parametrize("key", ["k", "x" * 255, "naïve", "../../x", "a\tb"])
def test_a_key_is_any_text(api: Api, key: str) -> None:
    """Keys are hashed: whatever a client calls its order, it becomes neither path nor command."""
    headers = [(b"Idempotency-Key", key.encode())]
    ids = {api.http.post("/v1/jobs", json=ask(), headers=headers).json()["id"] for _ in range(2)}
    assert len(ids) == 1


def test_a_replay_after_completion_answers_the_finished_job(api: Api) -> None:
    """Nothing is made again, and nothing becomes active again."""
    done = api.completed(headers=KEY)
    again = api.accepted(headers=KEY)
    assert again == done
    assert api.stored("active/") == []


def test_a_replay_after_redis_forgot_answers_from_storage(api: Api, redis_url: str) -> None:
    """Storage holds the truth: a finished job stays finished, a running one is taken up again."""
    done = api.completed(headers=KEY)
    running = api.accepted(seed=7, headers={"Idempotency-Key": "running"})
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert api.accepted(headers=KEY) == done
    again = api.accepted(seed=7, headers={"Idempotency-Key": "running"})
    assert (again["id"], again["request"]) == (running["id"], running["request"])
    assert [api.run(running["id"], index) for index in range(3)][-1] == "LAST"
    assert api.job(running["id"])["status"] == "completed"


def test_a_replay_is_not_charged(redis_url: str, folder_url: str) -> None:
    """Asking again for a job that exists is answered also when there is no room for another one."""
    api = start_api(redis_url, folder_url, max_active_jobs=1)
    publish(api.parts.storage, *tiny_decoder())
    done = api.completed(headers=KEY)
    running = api.accepted(seed=1, headers={"Idempotency-Key": "running"})
    again = api.accepted(seed=1, headers={"Idempotency-Key": "running"})
    assert again["id"] == running["id"]
    assert api.accepted(headers=KEY) == done
    # Days later Redis no longer knows the finished job.
    api.parts.ledger.forget(done["id"])
    assert api.accepted(headers=KEY) == done
    problem_of(api.submit(seed=2), status=429, slug="too-many-jobs")
    api.stop()


def test_a_forgotten_job_frees_its_key(api: Api) -> None:
    """After DELETE the same order is a new one, and reuses what is stored."""
    done = api.completed(headers=KEY)
    assert api.http.delete(done["links"]["self"]).status_code == 204
    again = api.submit(headers=KEY)
    assert "Idempotency-Replayed" not in again.headers
    assert api.run(done["id"], 0) == "OK"
    assert api.job(done["id"])["progress"]["shards_reused"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"3",
        b'{"decoder":"\\ud800"}',
        b'{"temperature":1e999}',
        b'{"temperature":1e308}',
        b'{"x":' + b"9" * 4000 + b"}",
        b"[" * 800 + b"]" * 800,
        b"{",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_any_other_body_with_a_used_key_is_422(api: Api, body: bytes) -> None:
    """Also one that could never be accepted, whatever it takes to tell that it is another."""
    api.accepted(headers=KEY)
    answer = api.http.post("/v1/jobs", content=body, headers=KEY)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
