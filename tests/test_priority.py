"""Priority: which of an owner's jobs its turns go to, and that nobody else waits longer for it."""

from typing import Any

import pytest

from service.adapters.ledger import Ledger, Verdict
from service.contract.job import Status
from service.contract.request import Priority
from service.lifecycle.dispatch import dispatch
from service.lifecycle.rebuild import rebuild
from tests.fixtures.api import Api, pointers
from tests.fixtures.ledger import CREATED_AT, Clock, record, resolved
from tests.fixtures.parts import ask

INTERACTIVE, NORMAL, BULK = Priority


def create(
    ledger: Ledger, job_id: str, priority: Priority, *, shards: int = 4, owner: str = "ann"
) -> str:
    ledger.create(
        job_id,
        owner=owner,
        request=resolved(shards * 1024),
        created_at=CREATED_AT,
        priority=priority,
    )
    return job_id


def run_all(ledger: Ledger, *, workers: int = 1) -> list[str]:
    """Jobs in the order in which their shards began, where so many workers take what dispatch sends."""
    began: list[str] = []
    queue: list[tuple[str, int]] = []
    running: list[tuple[str, int]] = []
    while True:
        for job_id in ledger.due(9):
            queue += [(job_id, shard) for shard in ledger.claim(job_id, window=4, room=9).shards]
        if not queue and not running:
            return began
        while queue and len(running) < workers:
            chosen = ledger.choose(*queue.pop(0))
            if (
                ledger.begin(chosen.job_id, chosen.shard, f"token-{len(began)}").verdict
                == Verdict.OK
            ):
                began.append(chosen.job_id)
                running.append((chosen.job_id, chosen.shard))
        if running:
            _commit(ledger, *running.pop(0))


def _commit(ledger: Ledger, job_id: str, shard: int) -> None:
    if ledger.commit(job_id, shard, record(), reused=False) == Verdict.LAST:
        ledger.resolve(job_id, Status.COMPLETED, error=None, finished_at=CREATED_AT)


class TestTurns:
    def test_a_message_that_waited_runs_what_is_more_urgent(self, ledger: Ledger) -> None:
        """Also a job of which nothing was sent yet; the shard of the message waits for the next one."""
        slow = create(ledger, "job-slow", BULK)
        assert ledger.claim(slow, window=2, room=9).shards == [0, 1]
        quick = create(ledger, "job-quick", INTERACTIVE, shards=2)
        assert [ledger.choose(slow, 0)[:2], ledger.choose(slow, 1)[:2]] == [(quick, 0), (quick, 1)]
        for shard in (0, 1):
            assert ledger.begin(quick, shard, f"token-{shard}").verdict == Verdict.OK
        assert slow in ledger.due(9)
        assert ledger.claim(slow, window=2, room=9).shards == [0, 1]
        assert ledger.choose(slow, 0)[:2] == (slow, 0)

    def test_classes_end_one_after_the_other(self, ledger: Ledger) -> None:
        """Whatever came first; with several workers only what runs already goes on."""
        for number, priority in enumerate((BULK, NORMAL, INTERACTIVE, BULK, NORMAL)):
            create(ledger, f"job-{number}{priority}", priority)
        began = run_all(ledger)
        assert [job[5:] for job in began] == ["interactive"] * 4 + ["normal"] * 8 + ["bulk"] * 8

    @pytest.mark.parametrize("workers", [1, 3])
    def test_every_shard_is_made_once(self, ledger: Ledger, workers: int) -> None:
        """What stands back is neither lost nor doubled."""
        jobs = [
            create(ledger, f"job-{n:04d}", list(Priority)[n % 3], shards=1 + n) for n in range(6)
        ]
        began = run_all(ledger, workers=workers)
        assert sorted(began) == sorted(job for n, job in enumerate(jobs) for _ in range(1 + n))

    def test_other_owners_turns_are_as_before(self, ledger: Ledger) -> None:
        """An urgent job takes the place of its owner's own, of nobody else's."""
        order = {}
        for urgent in (NORMAL, INTERACTIVE):
            for owner in ("ann", "bob"):
                create(ledger, f"{owner}-{urgent}", NORMAL, owner=owner)
            create(ledger, f"ann-urgent-{urgent}", urgent)
            order[urgent] = [job[:3] for job in run_all(ledger)]
        assert order[INTERACTIVE] == order[NORMAL]

    def test_a_job_of_one_shard_lends_its_place_to_such_a_one_only(self, ledger: Ledger) -> None:
        """Its queue is read first: a large job must not pass other owners there."""
        small = create(ledger, "job-small", BULK, shards=1)
        create(ledger, "job-large", INTERACTIVE, shards=3)
        assert ledger.choose(small, 0)[:2] == (small, 0)
        other = create(ledger, "job-other", INTERACTIVE, shards=1)
        assert ledger.choose(small, 0)[:2] == (other, 0)

    def test_a_message_for_what_runs_or_is_done_takes_nobodys_place(self, ledger: Ledger) -> None:
        """A doubled message is no turn: it would be one more than the owner has."""
        slow = create(ledger, "job-slow", BULK)
        ledger.begin(slow, 0, "token")
        create(ledger, "job-quick", INTERACTIVE)
        assert ledger.choose(slow, 0)[:2] == (slow, 0)
        assert ledger.choose(slow, 99)[:2] == (slow, 99)
        assert ledger.choose("job-none", 0)[:2] == ("job-none", 0)

    def test_a_worker_that_dies_before_it_begins_loses_nothing(
        self, ledger: Ledger, clock: Clock
    ) -> None:
        """What it was given is sent like any message that nobody began."""
        slow, quick = create(ledger, "job-slow", BULK), create(ledger, "job-quick", INTERACTIVE)
        ledger.claim(quick, window=4, room=0)
        assert ledger.choose(slow, 0)[:2] == (quick, 0)
        clock.pass_s(31)
        assert quick in ledger.due(9)
        assert 0 in ledger.claim(quick, window=4, room=9).shards

    def test_a_shard_that_killed_its_worker_is_told_of(self, ledger: Ledger, clock: Clock) -> None:
        """It runs alone, whatever message it runs for."""
        slow, quick = create(ledger, "job-slow", BULK), create(ledger, "job-quick", INTERACTIVE)
        ledger.begin(quick, 0, "token")
        clock.pass_s(21)
        assert ledger.choose(slow, 0) == (quick, 0, True)


class TestRequests:
    def test_a_worker_makes_the_urgent_one_first(self, api: Api) -> None:
        """Its message was for another; both end."""
        slow, quick = (
            api.accepted(seed=1, priority="bulk"),
            api.accepted(seed=2, priority="interactive"),
        )
        for index in range(3):
            assert api.run(slow["id"], index) in (Verdict.OK, Verdict.LAST)
        assert api.job(quick["id"])["status"] == "completed"
        assert api.job(slow["id"])["progress"]["shards_done"] == 0
        for index in range(3):
            api.run(slow["id"], index)
        assert api.job(slow["id"])["status"] == "completed"

    def test_it_is_told_from_redis_and_from_storage(self, api: Api) -> None:
        """Before and after the end; who says nothing has a normal job."""
        urgent, usual = api.accepted(priority="interactive"), api.accepted(seed=3)
        assert (urgent["priority"], usual["priority"]) == ("interactive", "normal")
        api.parts.ledger._redis.flushall()
        assert api.job(urgent["id"])["priority"] == "interactive"
        rebuild(api.parts)
        dispatch(api.parts, limit=10)
        assert api.parts.ledger.choose(usual["id"], 0).job_id == urgent["id"]
        for index in range(3):
            api.run(urgent["id"], index)
        assert api.job(urgent["id"])["status"] == "completed"
        assert api.job(urgent["id"])["priority"] == "interactive"

    def test_it_is_no_part_of_the_recipe(self, api: Api) -> None:
        """The same images, stored once."""
        first = api.completed(priority="bulk")
        assert api.completed(priority="interactive")["progress"]["shards_reused"] == 3
        assert "priority" not in first["request"]

    @pytest.mark.parametrize("priority", ["high", "", 1, None, ["bulk"]])
    def test_one_that_is_none_is_refused(self, api: Api, priority: Any) -> None:
        """The three words and nothing else."""
        assert pointers(api.http.post("/v1/jobs", json=ask(priority=priority))) == ["/priority"]
        assert api.stored() == []
