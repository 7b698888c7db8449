"""Keys over HTTP: two owners on one API, and everybody else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from latentmill import Client
from latentmill.errors import KeyNeeded, ScopeMissing, SettingsInvalid, UnknownJob
from structlog.testing import capture_logs

from export.publish import publish
from service.api.app import refuse_public
from service.api.callers import Caller
from service.api.failures import Failures
from service.contract.errors import StartRefused
from service.contract.key import Scope
from service.contract.limits import LimitOverrides
from service.lifecycle.keyring import BELIEVED_S
from service.lifecycle.keys import create_key, revoke_key
from service.lifecycle.submit import ANONYMOUS
from tests.fixtures.api import Api, problem_of, start_api
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import ask
from tests.fixtures.redis import RedisServer
from workers.shard import run_shard

BOTH = (Scope.SUBMIT, Scope.READ)
#: What an id in a path may be replaced by in a test.
SAMPLE = {"index": "0", "name": "tiny", "decoder": "tiny", "label": "3", "seed": "42"}


class Owner:
    """A key on the API, and requests with it."""

    def __init__(self, api: Api, name: str, *scopes: Scope, **fields: Any) -> None:
        made = create_key(api.parts.storage, name, scopes or BOTH, now=datetime.now(UTC), **fields)
        self.token, self.key = made
        self.headers = {"Authorization": f"Bearer {self.token}"}
        self._api = api

    def __call__(self, method: str, path: str, **fields: Any) -> httpx.Response:
        return self._api.http.request(method, path, headers=self.headers, **fields)

    def submitted(self, **fields: object) -> Any:
        answer = self("POST", "/v1/jobs", json=ask(**fields))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def completed(self, **fields: object) -> Any:
        job = self.submitted(**fields)
        for index in range(job["progress"]["shards_total"]):
            run_shard(self._api.studio, job["id"], index)
        return job


@pytest.fixture(scope="module")
def guarded(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with keys, for tests that leave only jobs behind."""
    running = start_api(redis_server.url, (tmp_path_factory.mktemp("keys") / "objects").as_uri())
    publish(running.parts.storage, *tiny_decoder())
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def patience(guarded: Api) -> None:
    """Refusals in one test do not count in the next."""
    failures: Failures = guarded.server.config.app.state.office.failures  # type: ignore[union-attr]
    failures._levels.clear()


@pytest.fixture(scope="module")
def ann(guarded: Api) -> Owner:
    return Owner(guarded, "ann")


@pytest.fixture(scope="module")
def bob(guarded: Api) -> Owner:
    return Owner(guarded, "bob")


def operations(api: Api) -> list[tuple[str, str]]:
    """Method and path of every route of the OpenAPI document but health."""
    paths = api.http.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path not in ("/livez", "/readyz")
    ]


def of(path: str, job_id: str) -> str:
    return path.format_map({"job_id": job_id} | SAMPLE)


def body_of(path: str) -> dict[str, Any]:
    return {"json": ask()} if path in ("/v1/jobs", "/v1/quotes") else {}


def test_every_route_needs_a_key(guarded: Api, ann: Owner) -> None:
    """But for health. A route that is added and forgets it is found here."""
    routes = operations(guarded)
    assert len(routes) >= 14
    for method, path in routes:
        answer = guarded.http.request(method, of(path, "job-00000000"), **body_of(path))
        problem_of(answer, status=401, slug="key-needed")
    for path in ("/livez", "/readyz", "/openapi.json"):
        assert guarded.http.get(path).status_code == 200


def test_every_wrong_key_is_refused_alike(guarded: Api, ann: Owner) -> None:
    """Missing, malformed, unknown, revoked, expired: an attacker learns nothing from the answer."""
    now = datetime.now(UTC)
    revoked = Owner(guarded, "cem")
    revoke_key(guarded.parts.storage, revoked.key.id, now=now)
    expired = Owner(guarded, "cem", expires_at=now - timedelta(seconds=1))
    tries = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer lm_x"},
        {"Authorization": f"Bearer {ann.token}x"},
        {"Authorization": f"Bearer {ann.key.sha256}"},
        {"Authorization": f"Bearer lm_{'x' * 43}"},
        {"Authorization": f"Basic {ann.token}"},
        {"Authorization": "Bearer ../../keys"},
        {"X-Api-Key": ann.token},
        revoked.headers,
        expired.headers,
    ]
    answers = [guarded.http.get("/v1/jobs", headers=headers) for headers in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {
        'Bearer realm="latentmill"'
    }
    assert guarded.http.get(f"/v1/jobs?api_key={ann.token}").status_code == 401


def test_another_owners_job_is_an_unknown_job(guarded: Api, ann: Owner, bob: Owner) -> None:
    """On every route that takes an id, byte for byte as for an id that nobody has."""
    job = ann.completed(count=1024, seed=77)
    routes = [route for route in operations(guarded) if "{job_id}" in route[1]]
    assert len(routes) >= 8
    for method, path in routes:
        foreign, unknown = (bob(method, of(path, job_id)) for job_id in (job["id"], "f" * 32))
        assert foreign.status_code == 404, (method, path)
        assert foreign.content == unknown.content, (method, path)
        hide = {"date", "x-request-id"}
        assert {k: v for k, v in foreign.headers.items() if k not in hide} == {
            k: v for k, v in unknown.headers.items() if k not in hide
        }
    assert ann("GET", f"/v1/jobs/{job['id']}").json()["status"] == "completed"


def test_an_owner_lists_its_own_jobs(ann: Owner, bob: Owner) -> None:
    """And no cursor leads into another's list."""
    for owner in (ann, bob):
        owner.submitted(seed=5)
    seen = [
        {job["id"] for job in owner("GET", "/v1/jobs?limit=100").json()["jobs"]}
        for owner in (ann, bob)
    ]
    assert all(seen)
    assert not seen[0] & seen[1]
    cursor = ann("GET", "/v1/jobs?limit=1").json()["next"]
    beyond = {job["id"] for job in bob("GET", f"/v1/jobs?cursor={cursor}").json()["jobs"]}
    assert beyond <= seen[1]


def test_owners_idempotency_keys_are_apart(guarded: Api, ann: Owner, bob: Owner) -> None:
    """The same key of two owners names two jobs; of one owner with two keys, one job."""
    second = Owner(guarded, "ann")

    def submit(owner: Owner) -> Any:
        headers = owner.headers | {"Idempotency-Key": "mine"}
        return guarded.http.post("/v1/jobs", json=ask(seed=6), headers=headers).json()["id"]

    assert submit(ann) == submit(second) != submit(bob)
    revoke_key(guarded.parts.storage, second.key.id, now=datetime.now(UTC))


@pytest.mark.parametrize(
    ("scope", "refused"),
    [
        (Scope.SUBMIT, {"read", "admin"}),
        (Scope.READ, {"submit", "admin"}),
        (Scope.ADMIN, {"submit", "read"}),
    ],
)
def test_a_key_does_what_its_scopes_say(guarded: Api, scope: Scope, refused: set[str]) -> None:
    """Nothing else, and the refusal names what is missing."""
    owner = Owner(guarded, f"only-{scope}", scope)
    told = set()
    for method, path in operations(guarded):
        answer = owner(method, of(path, "f" * 32), **body_of(path))
        assert answer.status_code not in (401, 500)
        if answer.status_code == 403:
            detail = problem_of(answer, status=403, slug="scope-missing")["detail"]
            told.add(detail.split("'")[1])
    assert told == refused


def test_wrong_keys_are_slowed_down(guarded: Api, ann: Owner) -> None:
    """An address that is wrong too often is told to wait; a key that works there goes on working."""
    assert ann("GET", "/v1/jobs").status_code == 200
    wrong = {"Authorization": f"Bearer lm_{'y' * 43}"}
    answers = [guarded.http.get("/v1/decoders", headers=wrong) for _ in range(40)]
    assert {answer.status_code for answer in answers[:25]} == {401}
    problem_of(answers[-1], status=429, slug="too-many-failures")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
    assert ann("GET", "/v1/jobs").status_code == 200


def test_failures_of_one_address_are_forgotten_in_time() -> None:
    """Of one address only, and an IPv6 network is one."""
    passed_s = 0.0
    failures = Failures(seconds=lambda: passed_s)
    for host in range(40):
        failures.note(f"2001:db8::{host:x}")
    assert failures.wait_s("2001:db8::ffff") > 0
    assert failures.wait_s("2001:db8:0:1::1") == failures.wait_s("192.0.2.1") == 0
    passed_s = failures.wait_s("2001:db8::1")
    assert failures.wait_s("2001:db8::1") == 0
    for host in range(10_000):
        failures.note(f"192.0.{host // 256}.{host % 256}")
    assert len(failures._levels) <= 4096


def test_a_reached_limit_is_a_429_with_its_numbers(guarded: Api) -> None:
    """In the words of the draft on RateLimit fields; owners are counted, not keys."""
    few = LimitOverrides(max_requests_per_minute=2, max_samples_per_day=5000)
    first, second = (Owner(guarded, "dora", limits=few) for _ in range(2))
    first.submitted(count=1024, seed=1)
    used_up = second("POST", "/v1/jobs", json=ask(count=4096))
    problem_of(used_up, status=429, slug="day-used-up")
    assert used_up.headers["RateLimit-Policy"] == ('"samples-per-day";q=5000;qu="samples";w=86400')
    assert used_up.headers["RateLimit"].startswith('"samples-per-day";r=3976;t=')
    second.submitted(count=1024, seed=2)
    fast = first("POST", "/v1/jobs", json=ask(count=1024, seed=3))
    problem_of(fast, status=429, slug="too-many-requests")
    assert fast.headers["RateLimit-Policy"] == '"requests";q=2;w=60'
    assert fast.headers["RateLimit"] == f'"requests";r=0;t={fast.headers["Retry-After"]}'
    assert 1 <= int(fast.headers["Retry-After"]) <= 30


def test_a_quote_knows_the_limits_of_the_key(guarded: Api) -> None:
    """What a submit would refuse for good, a quote refuses."""
    owner = Owner(guarded, "emil", limits=LimitOverrides(max_count=100))
    for path in ("/v1/jobs", "/v1/quotes"):
        assert "at most 100 samples" in owner("POST", path, json=ask(count=101)).text


def test_a_token_leaves_no_trace(guarded: Api, ann: Owner) -> None:
    """Neither in logs nor in answers nor in storage, whatever is done with it."""
    with capture_logs() as logged:
        job = ann.completed(count=1024, seed=8)
        texts = [ann("GET", f"/v1/jobs/{job['id']}{rest}").text for rest in ("", "/manifest", "/x")]
        wrong = {"Authorization": f"Bearer {ann.token}{'z' * 9}"}
        texts.append(guarded.http.get("/v1/jobs", headers=wrong).text)
    root = Path(guarded.settings.storage_url.removeprefix("file://"))
    stored = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    secret = ann.token[3:]
    assert secret not in json.dumps(logged, default=str) + "".join(texts)
    assert secret.encode() not in stored


def test_the_client_sends_its_key(guarded: Api, ann: Owner, tmp_path: Path) -> None:
    """To the server alone; without one, or with another's, it says what is wrong."""
    url = f"http://127.0.0.1:{guarded.settings.port}"
    job = ann.completed(count=1024, seed=9)
    with Client(url, api_key=ann.token) as client:
        assert client.job(job["id"]).id == job["id"]
        assert client.download(job["id"], tmp_path / "images")
    with Client(url) as client, pytest.raises(KeyNeeded, match="Authorization: Bearer"):
        client.job(job["id"])
    reader = Owner(guarded, "reader", Scope.READ)
    with Client(url, api_key=reader.token) as client:
        with pytest.raises(UnknownJob):
            client.job(job["id"])
        with pytest.raises(ScopeMissing, match="submit"):
            client.submit("tiny", 3, count=5)
    with pytest.raises(SettingsInvalid) as told:
        Client(url, api_key="lm_secret\n")
    assert "secret" not in str(told.value)


def test_the_first_key_closes_a_running_api(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within seconds; jobs asked for without a key belong to `anonymous`, and so may a key."""
    monkeypatch.setattr("service.lifecycle.keyring.BELIEVED_S", 0.0)
    assert BELIEVED_S <= 10
    job = api.accepted()
    owner = Owner(api, ANONYMOUS)
    assert api.http.get(f"/v1/jobs/{job['id']}").status_code == 401
    assert api.submit().status_code == 401
    assert api.http.get("/metrics").status_code == 401
    assert owner("GET", f"/v1/jobs/{job['id']}").status_code == 200
    revoke_key(api.parts.storage, owner.key.id, now=datetime.now(UTC))
    assert owner("GET", f"/v1/jobs/{job['id']}").status_code == 401
    assert Owner(api, "fred")("GET", f"/v1/jobs/{job['id']}").status_code == 404


def test_a_public_address_needs_a_key_first(redis_url: str, folder_url: str) -> None:
    """Without one the API does not start; were all keys deleted while it runs, it lets nobody in."""
    running = start_api(redis_url, folder_url, host="0.0.0.0")
    try:
        with pytest.raises(StartRefused, match="latentmill keys create"):
            refuse_public(running.settings, running.parts.storage)
        problem_of(running.http.get("/v1/jobs"), status=401, slug="key-needed")
        owner = Owner(running, "ann")
        refuse_public(running.settings, running.parts.storage)
        assert owner("GET", "/v1/jobs").status_code == 200
    finally:
        running.stop()


def test_a_caller_without_keys_has_the_deployments_limits(api: Api) -> None:
    """And is everybody's one owner."""
    assert Caller(ANONYMOUS, api.settings.limits).limits.max_count == api.settings.max_count
    assert api.accepted()["status"] == "queued"
