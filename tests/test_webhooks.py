"""Webhooks: whoever asked to be told is told, at least once, whatever dies meanwhile."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from service.adapters.ledger import Ledger
from service.adapters.webhook_sender import Sender
from service.contract import layout
from service.contract.errors import (
    JobUnfinished,
    NoWebhook,
    RequestInvalid,
    StorageUnavailable,
    UnknownJob,
)
from service.contract.job import Job
from service.contract.limits import Limits
from service.contract.webhook import Delivery, DeliveryStatus
from service.contract.webhook_signature import read_secrets
from service.lifecycle.courier import MAX_ATTEMPTS, Courier
from service.lifecycle.describe import read_request
from service.lifecycle.end import cancel, forget
from service.lifecycle.finish import finish
from service.lifecycle.parts import Parts
from service.lifecycle.patience import Patience
from service.lifecycle.rebuild import rebuild
from service.lifecycle.submit import ANONYMOUS, job_id_for, submit
from service.lifecycle.webhooks import note_owed, redeliver, tell_delivery
from tests.fixtures.commands import here
from tests.fixtures.ledger import Clock
from tests.fixtures.parts import ask, new_studio, run_all
from tests.fixtures.processes import eventually
from tests.fixtures.receiver import KEY, SECRET, Receiver, receiving
from workers.webhook import AT_ONCE, PostOffice


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    # Objects carry the true time.
    clock.ms = int(time.time() * 1000)
    return clock


@pytest.fixture
def timed(parts: Parts, clock: Clock, redis_url: str) -> Parts:
    """The parts on a clock that the test turns."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    ledger = Ledger(client, max_attempts=3, clock=clock)
    return replace(
        parts, ledger=ledger, clock=lambda: datetime.fromtimestamp(clock.ms / 1000, tz=UTC)
    )


def courier_of(parts: Parts, receiver: Receiver, *, sender: Sender | None = None) -> Courier:
    return Courier(
        parts,
        sender or Sender(),
        keys=(KEY,),
        trusted=frozenset({receiver.host}),
        retry_s=10,
    )


def limits_for(*hosts: str) -> Limits:
    return Limits(max_count=1_000_000, max_active_jobs=100, webhook_hosts=frozenset(hosts))


def asked(parts: Parts, receiver: Receiver, *, job_id: str | None = None, **fields: Any) -> Job:
    body = ask(webhook=receiver.url, count=10, **fields)
    limits = limits_for(receiver.host)
    return submit(parts, body, owner=ANONYMOUS, limits=limits, job_id=job_id).job


def completed(parts: Parts, receiver: Receiver, **fields: Any) -> Job:
    job = asked(parts, receiver, **fields)
    run_all(new_studio(parts), job)
    return job


def post(parts: Parts, receiver: Receiver) -> int:
    """What a sweep does in one turn; how many webhooks were due."""
    due = parts.ledger.webhooks.claim(10, lease_s=60)
    for claimed in due:
        courier_of(parts, receiver).deliver(claimed)
    return len(due)


def told(parts: Parts, job: Job) -> Delivery:
    return tell_delivery(parts, job.id, owner=ANONYMOUS)


def owed(parts: Parts) -> list[str]:
    return [entry.key for entry in parts.storage.list(layout.WEBHOOKS)]


def test_an_end_is_told_with_the_job(timed: Parts, receiver: Receiver) -> None:
    """Signed, with the job as data; then nothing is owed any more."""
    job = asked(timed, receiver)
    assert post(timed, receiver) == 0
    assert owed(timed) == [layout.webhook(job.id)]
    run_all(new_studio(timed), job)
    assert post(timed, receiver) == 1
    (request,) = receiver.received
    assert request.is_signed_with(KEY)
    assert not request.is_signed_with(b"x" * 32)
    assert request.event["type"] == "job.completed"
    assert request.event["data"]["id"] == job.id
    assert request.event["data"]["progress"]["samples_done"] == 10
    assert request.event["timestamp"] == request.event["data"]["finished_at"]
    assert (told(timed, job).status, told(timed, job).last_status) == ("delivered", 204)
    assert owed(timed) == []
    assert post(timed, receiver) == 0


def test_the_webhook_is_no_part_of_the_recipe(timed: Parts, receiver: Receiver) -> None:
    """Nor of what workers, the ledger, the manifest and other readers of the job are given."""
    job = completed(timed, receiver)
    plain = submit(timed, ask(count=10), owner=ANONYMOUS, limits=limits_for()).job
    assert job.request == plain.request
    kept = [
        entry.key
        for entry in timed.storage.list("")
        if receiver.host.encode() in timed.storage.get(entry.key)
    ]
    assert kept == [layout.job_request(job.id)]
    assert receiver.host not in job.model_dump_json()


def test_a_cancelled_and_a_failed_job_are_told(timed: Parts, receiver: Receiver) -> None:
    """Whatever the end is."""
    job = asked(timed, receiver)
    cancel(timed, job.id, owner=ANONYMOUS)
    post(timed, receiver)
    other = asked(timed, receiver, seed=1)
    timed.ledger.begin(other.id, 0, "token")
    timed.ledger.release(other.id, 0, "token", reason="no luck", retry_s=None)
    finish(timed, other.id)
    post(timed, receiver)
    assert [r.event["type"] for r in receiver.received] == ["job.cancelled", "job.failed"]
    assert receiver.received[1].event["data"]["error"] == "shard 0: no luck"


def test_attempts_are_spread_over_a_day_and_end(
    timed: Parts, receiver: Receiver, clock: Clock
) -> None:
    """Ten of them, each pause about three times the last; the state tells each one and the next."""
    receiver.answers = [500]
    job = completed(timed, receiver)
    began_ms, pauses = clock.ms, []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert post(timed, receiver) == 1
        state = told(timed, job)
        assert (state.attempts, state.last_status) == (attempt, 500)
        if state.next_attempt_at is None:
            break
        pauses.append((state.next_attempt_at - timed.clock()).total_seconds())
        assert post(timed, receiver) == 0
        clock.pass_s(pauses[-1])
    assert told(timed, job).status == DeliveryStatus.GIVEN_UP
    assert (owed(timed), post(timed, receiver)) == ([], 0)
    for number, pause_s in enumerate(pauses):
        usual_s = min(10 * 3**number, 43_200)
        assert usual_s / 2 <= pause_s <= usual_s * 1.5
    assert 10 * 3600 < (clock.ms - began_ms) / 1000 < 33 * 3600


def test_a_replay_is_known_by_its_id(timed: Parts, receiver: Receiver, clock: Clock) -> None:
    """The id stays for ever, the timestamp is the attempt's, and both are signed."""
    receiver.answers = [503, 200]
    job = completed(timed, receiver)
    for _ in range(2):
        post(timed, receiver)
        clock.pass_s(20)
    redeliver(timed, job.id, owner=ANONYMOUS)
    post(timed, receiver)
    ids = {request.headers["webhook-id"] for request in receiver.received}
    moments = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert len(receiver.received) == 3
    assert len(ids) == 1
    assert moments == sorted(set(moments))
    assert len({request.body for request in receiver.received}) == 1
    assert all(request.is_signed_with(KEY) for request in receiver.received)
    # An old request sent again is old, and with a new moment its signature is none.
    forged = replace(
        receiver.received[0], headers=receiver.received[0].headers | {"webhook-timestamp": "9"}
    )
    assert not forged.is_signed_with(KEY)


def test_a_receiver_that_is_gone_is_left_alone(timed: Parts, receiver: Receiver) -> None:
    """410 means no more of them."""
    receiver.answers = [410]
    job = completed(timed, receiver)
    post(timed, receiver)
    assert told(timed, job).status == DeliveryStatus.GIVEN_UP
    assert owed(timed) == []


def test_what_was_given_up_is_sent_when_asked_for(timed: Parts, receiver: Receiver) -> None:
    """With all attempts before it again."""
    receiver.answers = [410, 200]
    job = completed(timed, receiver)
    post(timed, receiver)
    assert redeliver(timed, job.id, owner=ANONYMOUS).status == DeliveryStatus.PENDING
    assert post(timed, receiver) == 1
    assert (told(timed, job).status, told(timed, job).attempts) == ("delivered", 1)


class FailsAfter:
    """A storage that stops writing after so many writes and deletes."""

    def __init__(self, storage: object, *, writes: int) -> None:
        self._storage, self._left = storage, writes

    def __getattr__(self, name: str) -> object:
        if name in ("put", "create", "delete"):
            self._left -= 1
            if self._left < 0:
                raise StorageUnavailable
        return getattr(self._storage, name)


@pytest.mark.parametrize("writes", [0, 1])
def test_an_attempt_that_was_cut_off_is_made_again(
    timed: Parts, receiver: Receiver, clock: Clock, writes: int
) -> None:
    """Before what came of it was kept: it is sent twice, with one id. Before the marker went: it is not."""
    job = completed(timed, receiver)
    failing = replace(timed, storage=FailsAfter(timed.storage, writes=writes))  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        post(failing, receiver)
    assert post(timed, receiver) == 0
    clock.pass_s(61)
    assert post(timed, receiver) == 1
    assert len(receiver.received) == 2 - writes
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert (owed(timed), told(timed, job).status) == ([], "delivered")


@pytest.mark.parametrize("ended", [False, True])
def test_a_wiped_redis_forgets_no_webhook(
    timed: Parts, receiver: Receiver, redis_url: str, ended: bool
) -> None:
    """Storage marks what is owed; before the job's end and after it."""
    job = completed(timed, receiver) if ended else asked(timed, receiver)
    redis.Redis.from_url(redis_url).flushall()
    rebuild(timed)
    note_owed(timed)
    if not ended:
        post(timed, receiver)
        assert receiver.received == []
        run_all(new_studio(timed), job)
    assert post(timed, receiver) == 1
    assert len(receiver.received) == 1


def test_what_is_noted_again_keeps_its_time(timed: Parts, receiver: Receiver, clock: Clock) -> None:
    """A rebuild does not press a receiver that was to be left alone for a while, not even after a wipe."""
    receiver.answers = [500]
    completed(timed, receiver)
    post(timed, receiver)
    note_owed(timed)
    assert post(timed, receiver) == 0
    timed.ledger.webhooks.wake(owed(timed)[0].removeprefix(layout.WEBHOOKS))
    post(timed, receiver)
    assert len(receiver.received) == 1
    clock.pass_s(16)
    post(timed, receiver)
    assert len(receiver.received) == 2


@pytest.mark.parametrize("write", range(4))
def test_a_submit_that_was_cut_off_and_replayed_tells(
    timed: Parts, receiver: Receiver, write: int
) -> None:
    """Whatever step storage died at: the marker is there before the job can run."""
    job_id = job_id_for(ANONYMOUS, "key")
    failing = replace(timed, storage=FailsAfter(timed.storage, writes=write))  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        asked(failing, receiver, job_id=job_id)
    note_owed(timed)
    post(timed, receiver)
    job = asked(timed, receiver, job_id=job_id)
    run_all(new_studio(timed), job)
    timed.ledger.webhooks.wake(job_id)
    post(timed, receiver)
    assert [request.event["data"]["id"] for request in receiver.received] == [job_id]


def test_a_marker_without_a_job_goes_after_a_day(
    timed: Parts, receiver: Receiver, clock: Clock
) -> None:
    """A submit that was cut off and never replayed."""
    timed.storage.put(layout.webhook("abcdefgh"), b"")
    note_owed(timed)
    post(timed, receiver)
    assert owed(timed) == [layout.webhook("abcdefgh")]
    clock.pass_s(86_401)
    post(timed, receiver)
    assert (owed(timed), receiver.received) == ([], [])


def test_a_forgotten_job_tells_nothing(timed: Parts, receiver: Receiver, clock: Clock) -> None:
    """Its records are gone, and nobody is told of it."""
    receiver.answers = [500]
    job = completed(timed, receiver)
    post(timed, receiver)
    forget(timed, job.id, owner=ANONYMOUS)
    clock.pass_s(60)
    assert post(timed, receiver) == 1
    assert len(receiver.received) == 1
    assert [e.key for e in timed.storage.list("") if job.id in e.key] == []


def test_an_operator_who_trusts_no_longer_is_heeded(timed: Parts, receiver: Receiver) -> None:
    """The URL is judged at every attempt, by the settings of then."""
    job = completed(timed, receiver)
    (claimed,) = timed.ledger.webhooks.claim(1, lease_s=60)
    Courier(timed, Sender(), keys=(KEY,), trusted=frozenset(), retry_s=10).deliver(claimed)
    assert receiver.received == []
    assert told(timed, job).attempts == 1
    assert "https only" in str(told(timed, job).last_error)


def test_the_state_is_the_owners(timed: Parts, receiver: Receiver) -> None:
    """Another's job is unknown; a job without a webhook says so; a running one is not sent again."""
    job = asked(timed, receiver)
    for look in (tell_delivery, redeliver):
        with pytest.raises(UnknownJob):
            look(timed, job.id, owner="somebody")
    with pytest.raises(JobUnfinished):
        redeliver(timed, job.id, owner=ANONYMOUS)
    plain = submit(timed, ask(seed=1), owner=ANONYMOUS, limits=limits_for()).job
    with pytest.raises(NoWebhook):
        tell_delivery(timed, plain.id, owner=ANONYMOUS)
    assert owed(timed) == [layout.webhook(job.id)]


def test_owners_cannot_sign_for_each_other(timed: Parts, receiver: Receiver) -> None:
    """Each is signed for with a secret of its own, which the operator's command prints."""
    secrets = {}
    for owner in ("ann", "bob"):
        body = ask(webhook=receiver.url, count=10)
        limits = limits_for(receiver.host)
        run_all(new_studio(timed), submit(timed, body, owner=owner, limits=limits).job)
        told = here("webhook-secret", owner, webhook_secret=SECRET)
        (secrets[owner],) = read_secrets(told.stdout.strip())
    assert post(timed, receiver) == 2
    for request in receiver.received:
        assert [request.is_signed_with(secret) for secret in secrets.values()].count(True) == 1
        assert not request.is_signed_with(KEY)
    assert here("webhook-secret", webhook_secret=SECRET).stdout.strip() == SECRET
    off = here("webhook-secret")
    assert off.returncode == 2
    assert "LATENTMILL_WEBHOOK_SECRET is not set" in off.stderr


def test_a_webhook_that_may_not_be_is_a_fault(timed: Parts) -> None:
    """Told beside the other faults; where webhooks are off, with what switches them on."""
    off = Limits(max_count=100, max_active_jobs=1)
    for limits, why in ((off, "LATENTMILL_WEBHOOK_SECRET"), (limits_for(), "https only")):
        body = ask(webhook="http://127.0.0.1/", label=77)
        with pytest.raises(RequestInvalid) as told:
            submit(timed, body, owner=ANONYMOUS, limits=limits)
        faults = {fault.pointer: fault.detail for fault in told.value.faults}
        assert why in faults["/webhook"]
        assert "/label" in faults
    assert [e.key for e in timed.storage.list("") if not e.key.startswith("decoders/")] == []


def test_a_silent_host_is_left_alone_for_a_while() -> None:
    """Longer each time, and one answer makes it welcome again; those under way at once count as one."""
    seconds = [0.0]
    patience = Patience(clock=lambda: seconds[0])
    waits = []
    for _ in range(8):
        assert patience.wait_s("a") == 0
        for _ in range(16):
            patience.note_silence("a")
        waits.append(patience.wait_s("a"))
        seconds[0] += waits[-1]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    patience.note_silence("a")
    assert patience.wait_s("b") == 0
    patience.note_answer("a")
    assert patience.wait_s("a") == 0


def test_a_host_that_is_dead_costs_the_others_nothing(timed: Parts, receiver: Receiver) -> None:
    """One attempt finds out; the other webhooks for it wait, without an attempt of theirs being spent."""
    with receiving() as dead:
        jobs = [
            submit(
                *(timed, ask(webhook=dead.url, count=10, seed=seed)),
                owner=ANONYMOUS,
                limits=limits_for(dead.host),
            ).job
            for seed in range(5)
        ]
    for job in jobs:
        run_all(new_studio(timed), job)
    last = completed(timed, receiver, seed=9)
    courier = Courier(
        timed, Sender(), keys=(KEY,), trusted=frozenset({dead.host, receiver.host}), retry_s=10
    )
    for claimed in timed.ledger.webhooks.claim(10, lease_s=60):
        courier.deliver(claimed)
    assert sum(told(timed, job).attempts for job in jobs) == 1
    assert told(timed, last).status == DeliveryStatus.DELIVERED
    assert timed.ledger.webhooks.claim(10, lease_s=60) == []


@pytest.fixture
def offices(parts: Parts, receiver: Receiver) -> Iterator[Callable[[int], None]]:
    """Start so many post offices, as so many sweeps would have."""
    running: list[PostOffice] = []

    def start(number: int) -> None:
        for _ in range(number):
            courier = courier_of(parts, receiver)
            office = PostOffice(parts, courier, interval_s=0.05, rebuild_interval_s=0.2)
            running.append(office.__enter__())

    yield start
    receiver.may_answer.set()
    for office in running:
        office.__exit__()


def test_any_number_of_sweeps_tell_once(
    parts: Parts, receiver: Receiver, offices: Callable[[int], None]
) -> None:
    """A lease in Redis: three sweeps, twelve jobs, twelve requests."""
    offices(3)
    jobs = [completed(parts, receiver, seed=seed) for seed in range(12)]
    assert eventually(lambda: owed(parts) == [], within_s=10)
    assert sorted(r.event["data"]["id"] for r in receiver.received) == sorted(j.id for j in jobs)


def test_a_slow_receiver_holds_up_nobody_else(
    parts: Parts, receiver: Receiver, offices: Callable[[int], None]
) -> None:
    """Its senders wait, a bounded number; a receiver that answers is told meanwhile."""
    receiver.may_answer.clear()
    for seed in range(AT_ONCE - 1):
        completed(parts, receiver, seed=seed)
    offices(1)
    assert eventually(lambda: len(receiver.received) == AT_ONCE - 1, within_s=5)
    with receiving() as other:
        body = ask(count=10, seed=99, webhook=other.url)
        limits = limits_for(other.host)
        job = submit(parts, body, owner=ANONYMOUS, limits=limits).job
        run_all(new_studio(parts), job)
        # It is trusted by no courier here, which is an attempt all the same.
        assert eventually(lambda: told(parts, job).attempts == 1, within_s=3)
    receiver.may_answer.set()
    assert eventually(lambda: len(owed(parts)) == 1, within_s=10)


def test_the_url_of_a_request_is_kept_as_given(timed: Parts, receiver: Receiver) -> None:
    """Beside the body, so that no reader has to trust the body again."""
    job = asked(timed, receiver)
    kept = read_request(timed.storage, job.id)
    assert kept.webhook == receiver.url
    assert kept.created_at <= timed.clock() + timedelta(seconds=1)
