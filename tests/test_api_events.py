"""Waiting for a job over HTTP: server-sent events that go on after a break, and `Prefer: wait`."""

import threading
import time
from collections.abc import Iterator

import pytest
from latentmill import Client
from latentmill.errors import UnknownJob

from service.adapters.ledger_values import Verdict
from service.contract.job import Job
from tests.fixtures.api import Api, problem_of, start_api
from tests.fixtures.parts import new_studio
from workers.shard import run_shard


def told(lines: Iterator[str]) -> Iterator[tuple[str, str, Job]]:
    """Kind, id and job of each event, read as the standard says."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields["id"], Job.model_validate_json(fields["data"])
            fields = {}


def test_events_tell_every_shard_and_the_end(api: Api) -> None:
    """The first is the job as it is; the stream ends with the job."""
    job = api.accepted()
    seen = []
    with api.http.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        events = told(answer.iter_lines())
        seen.append(next(events))
        for index in range(2):
            api.run(job["id"], index)
            while seen[-1][2].progress.shards_done == index:
                seen.append(next(events))
        api.run(job["id"], 2)
        seen += events
    done = [event[2].progress.samples_done for event in seen]
    assert (sorted(done), set(done)) == (done, {0, 1024, 2048, 2500})
    assert [event[0] for event in seen[:-1]] == ["progress"] * (len(seen) - 1)
    assert (seen[-1][0], seen[-1][2].status.value) == ("end", "completed")
    assert len({event[1] for event in seen}) == len(seen)
    assert seen[0][2].links["events"] == f"/v1/jobs/{job['id']}/events"


def test_events_go_on_at_another_server(api: Api) -> None:
    """Whoever saw an event and comes again, to whatever API, is told what is newer and nothing twice."""
    job = api.accepted()
    path = f"/v1/jobs/{job['id']}/events"
    with api.http.stream("GET", path) as answer:
        _, seen, _ = next(told(answer.iter_lines()))
    api.run(job["id"], 0)
    other = start_api(api.settings.redis_url.get_secret_value(), api.settings.storage_url)
    try:
        with other.http.stream("GET", path, headers={"Last-Event-ID": seen}) as answer:
            _, newer, now = next(told(answer.iter_lines()))
            assert now.progress.samples_done == 1024
            assert newer != seen
        for index in (1, 2):
            api.run(job["id"], index)
        with other.http.stream("GET", path, headers={"Last-Event-ID": newer}) as answer:
            ((kind, last, now),) = told(answer.iter_lines())
            assert (kind, now.status.value) == ("end", "completed")
        assert other.http.get(path, headers={"Last-Event-ID": last}).status_code == 204
    finally:
        other.stop()


def test_a_forgotten_job_has_no_events(api: Api) -> None:
    """Whoever comes again is told that it is unknown."""
    job = api.completed()
    api.http.delete(f"/v1/jobs/{job['id']}").raise_for_status()
    problem_of(api.http.get(f"/v1/jobs/{job['id']}/events"), status=404, slug="unknown-job")


@pytest.mark.slow
def test_the_client_follows_across_a_restart(api: Api) -> None:
    """The API goes away in the middle and comes back on its port: the client sees the end, and nothing goes back."""
    job = api.accepted(count=8192)
    studio, seen = new_studio(api.parts), []
    with Client(f"http://127.0.0.1:{api.settings.port}", patience_s=20) as client:
        for now in client.events(job["id"]):
            seen.append(now.progress.samples_done)
            if len(seen) == 4:
                api.stop()
                settings = api.settings
                again = start_api(
                    settings.redis_url.get_secret_value(), settings.storage_url, port=settings.port
                )
            if now.progress.shards_done < 8:
                run_shard(studio, job["id"], now.progress.shards_done)
        with pytest.raises(UnknownJob):
            next(client.events("nobody-knows-this"))
    again.stop()
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 8192)


@pytest.mark.parametrize("prefer", ["wait=20", "respond-async, wait=20", "WAIT = 20; x=y"])
def test_a_submit_may_wait_for_the_end(api: Api, prefer: str) -> None:
    """The answer is the job that has ended, and says that the wish was granted."""
    seed = time.time_ns() % 2**53

    def work() -> None:
        while not (jobs := api.http.get("/v1/jobs").json()["jobs"]):
            time.sleep(0.02)
        studio = new_studio(api.parts)
        for index in range(3):
            # It is listed before the ledger knows it.
            while run_shard(studio, jobs[0]["id"], index) == Verdict.GONE:
                time.sleep(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    answer = api.submit(headers={"Prefer": prefer}, seed=seed)
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (202, "completed")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert "Retry-After" not in answer.headers


def test_a_wait_ends_by_the_clock(api: Api) -> None:
    """With the job as it is then; a wish that cannot be read, or none, is no wait."""
    job = api.accepted()
    path = f"/v1/jobs/{job['id']}"
    waited = api.http.get(path, headers={"Prefer": "wait=1"})
    assert waited.elapsed.total_seconds() > 0.9
    assert (waited.json()["status"], waited.headers["Preference-Applied"]) == ("queued", "wait=1")
    for wish in ("wait", "wait=soon", "wait=-1", "await=5", ""):
        answer = api.http.get(path, headers={"Prefer": wish})
        assert "Preference-Applied" not in answer.headers
    none = api.http.get(path, headers={"Prefer": "wait=0"})
    assert none.headers["Preference-Applied"] == "wait=0"
