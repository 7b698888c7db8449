"""`latentmill.generate`: whatever a foreign producer sends is a job or a recorded refusal, never a surprise."""

import pytest

from service.contract import layout
from service.contract.errors import UnknownJob
from service.contract.job import Status
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, submit
from tests.fixtures.parts import LIMITS, ask
from workers.generate import generate_job

TASK = "0b8c8d2e-1f4e-4f0e-9a6e-3d1f6d0a7b55"


def test_a_task_id_becomes_the_job_id(parts: Parts) -> None:
    """The producer knows its job before anybody answered."""
    generate_job(parts, TASK, (), ask(), limits=LIMITS)
    assert describe(parts, TASK, owner=ANONYMOUS).status == Status.QUEUED


def test_a_task_delivered_twice_is_one_job(parts: Parts) -> None:
    """Also when the producer left the seed to us."""
    body = ask()
    del body["seed"]
    for _ in range(2):
        generate_job(parts, TASK, (), body, limits=LIMITS)
    assert len(list(parts.storage.list("active/"))) == 1


def nested(levels: int) -> list[object]:
    inner: list[object] = []
    for _ in range(levels):
        inner = [inner]
    return inner


#: As deep as a record holds, deeper than that, and as deep as a queue's messages can be.
NESTED = [(50, "/tags"), (300, "nested"), (950, "nested")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ask(label=77), "/label"),
        (ask(count=0, cuont=1), "/cuont"),
        (ask(temperature=float("nan")), "/temperature"),
        (ask(decoder="\ud800"), "/decoder"),
        ({}, "/decoder"),
        ({"tags": "x" * 70_000}, "larger than"),
        (ask(seed=10**5000), "not JSON"),
        *[(ask(tags=nested(levels)), said) for levels, said in NESTED],
    ],
)
def test_a_faulty_task_is_a_failed_job(parts: Parts, body: dict[str, object], said: str) -> None:
    """Recorded with its faults under the task's id, not retried, and told alike after Redis is gone."""
    generate_job(parts, TASK, (), body, limits=LIMITS)
    generate_job(parts, TASK, (), body, limits=LIMITS)
    failed = describe(parts, TASK, owner=ANONYMOUS)
    assert failed.status == Status.FAILED
    assert failed.request is None
    assert said in str(failed.error)
    assert list(parts.storage.list("active/")) == []


def test_positional_arguments_are_refused(parts: Parts) -> None:
    """Nobody guesses which is the count and which the seed."""
    generate_job(parts, TASK, ("tiny", 3), {}, limits=LIMITS)
    assert "keyword" in str(describe(parts, TASK, owner=ANONYMOUS).error)


@pytest.mark.parametrize("task_id", ["short", "../../../etc/passwd", "a" * 65, "spaced out id"])
def test_an_odd_task_id_is_dropped(parts: Parts, task_id: str) -> None:
    """It could be no job's id and is never part of a key."""
    before = [entry.key for entry in parts.storage.list("")]
    generate_job(parts, task_id, (), ask(), limits=LIMITS)
    assert [entry.key for entry in parts.storage.list("")] == before


def test_a_task_cannot_touch_another_job(parts: Parts) -> None:
    """An id that is taken, with another body, faulty or not, changes nothing."""
    job = submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=TASK).job
    generate_job(parts, TASK, (), ask(seed=7), limits=LIMITS)
    generate_job(parts, TASK, (), ask(label=77), limits=LIMITS)
    assert describe(parts, TASK, owner=ANONYMOUS).request == job.request
    with pytest.raises(UnknownJob):
        describe(parts, TASK, owner="mallory")


def test_a_huge_task_is_refused_and_not_kept(parts: Parts) -> None:
    """A message may be of any size; what is stored of it may not."""
    generate_job(parts, TASK, (), ask(tags="x" * 200_000), limits=LIMITS)
    assert "larger than" in str(describe(parts, TASK, owner=ANONYMOUS).error)
    assert all(entry.size_bytes < 20_000 for entry in parts.storage.list("jobs/"))


def test_a_refusal_that_was_cut_off_is_completed(parts: Parts) -> None:
    """Killed between the request and its outcome: the second delivery records it after all."""
    generate_job(parts, TASK, (), ask(label=77), limits=LIMITS)
    parts.storage.delete(layout.job_outcome(TASK))
    generate_job(parts, TASK, (), ask(label=77), limits=LIMITS)
    assert describe(parts, TASK, owner=ANONYMOUS).status == Status.FAILED
