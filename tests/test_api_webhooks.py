"""Webhooks over HTTP, and the sweep that sends them as a process of its own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.publish import publish
from service.contract.settings import child_environment
from tests.fixtures.api import Api, pointers, problem_of, start_api
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.processes import eventually
from tests.fixtures.receiver import KEY, SECRET, Receiver, receiving
from tests.fixtures.role import Role


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def telling(redis_url: str, folder_url: str, receiver: Receiver) -> Iterator[Api]:
    """A server whose webhooks are on and whose operator trusts the receiver."""
    api = start_api(
        redis_url, folder_url, webhook_secret=SECRET, webhook_allow=f"other, {receiver.host}"
    )
    publish(api.parts.storage, *tiny_decoder())
    yield api
    api.stop()


def test_webhooks_are_off_unless_there_is_a_secret(lasting: Api) -> None:
    """The fault says what whoever runs the server has to set; quotes say it too."""
    for path in ("/v1/jobs", "/v1/quotes"):
        body = {"decoder": "tiny", "label": 3, "count": 1, "webhook": "https://example.org/"}
        answer = lasting.http.post(path, json=body)
        assert pointers(answer) == ["/webhook"]
        assert "LATENTMILL_WEBHOOK_SECRET" in answer.json()["errors"][0]["detail"]


def test_a_webhook_that_leads_nowhere_good_is_a_fault(telling: Api) -> None:
    """By its shape alone: the API asks no name server."""
    for url in (
        "http://example.org/",
        "https://10.0.0.1/",
        "https://localhost/",
        "",
        7,
        "x" * 9000,
    ):
        assert pointers(telling.submit(webhook=url)) == ["/webhook"]
    assert telling.submit(webhook="https://hooks.example.org/x").status_code == 202
    assert telling.submit(webhook=None).status_code == 202


def test_a_webhook_is_asked_after_and_sent_again(telling: Api, receiver: Receiver) -> None:
    """404 without one, 409 before the end, 202 after it."""
    job = telling.accepted(webhook=receiver.url, count=10)
    here = f"/v1/jobs/{job['id']}/webhook"
    state = telling.http.get(here).json()
    assert (state["status"], state["attempts"], state["url"]) == ("pending", 0, receiver.url)
    problem_of(telling.http.post(f"{here}/redeliver"), status=409, slug="job-unfinished")
    telling.run(job["id"], 0)
    answer = telling.http.post(f"{here}/redeliver")
    assert (answer.status_code, answer.headers["Location"]) == (202, here)
    plain = f"/v1/jobs/{telling.accepted(count=10, seed=1)['id']}/webhook"
    for method, path in (("GET", plain), ("POST", f"{plain}/redeliver")):
        problem_of(telling.http.request(method, path), status=404, slug="no-webhook")
    for method, path in (("GET", ""), ("POST", "/redeliver")):
        unknown = telling.http.request(method, f"/v1/jobs/abcdefgh/webhook{path}")
        problem_of(unknown, status=404, slug="unknown-job")


def test_a_sweep_tells(telling: Api, receiver: Receiver, tmp_path: Path) -> None:
    """The real process, which then stops when told; neither secret nor URL is in its log."""
    receiver.answers = [500, 200]
    settings = {
        "redis_url": telling.settings.redis_url.get_secret_value(),
        "storage_url": telling.settings.storage_url,
        "webhook_secret": SECRET,
        "webhook_allow": receiver.host,
        "webhook_retry_s": 0.1,
        "sweep_interval_s": 0.1,
        "log_format": "json",
    }
    sweep = Role("sweep", tmp_path / "sweep.log", child_environment(**settings))
    try:
        job = telling.completed(webhook=f"{receiver.url}?token=geheim", count=10)
        here = f"{job['links']['self']}/webhook"
        assert eventually(
            lambda: telling.http.get(here).json()["status"] == "delivered", within_s=30
        ), sweep.log.read_text()
        sweep.signal(signal.SIGTERM)
        assert sweep.ended() == 0
    finally:
        sweep.kill()
    assert telling.http.get(here).json()["attempts"] == len(receiver.received) == 2
    assert all(request.is_signed_with(KEY) for request in receiver.received)
    assert len(sweep.events("webhook_sent")) == 2
    for secret in ("geheim", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in sweep.log.read_text()
