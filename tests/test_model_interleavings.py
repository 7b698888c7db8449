"""Interleavings that the simulator found, each on its own: an effect of one process between two looks of another."""

from collections.abc import Callable

import pytest

from service.contract import layout
from service.contract.errors import UnknownJob
from service.contract.job import Outcome, Progress, Status
from service.contract.request import AcceptedRequest
from service.contract.value import canonical_json, sha256_hex
from service.lifecycle.describe import describe, described_from_storage
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS
from tests.fixtures.ledger import CREATED_AT, resolved
from tests.fixtures.parts import LIMITS, ask
from tests.model.store import MemoryStorage
from workers.generate import generate_job
from workers.stored import adopt

JOB = "job-00001"


class Between(MemoryStorage):
    """Something happens just before the first look at one key."""

    def __init__(self, key: str, happens: Callable[[MemoryStorage], None]) -> None:
        super().__init__()
        self.key, self.happens = key, happens

    def _found(self, key: str):  # type: ignore[no-untyped-def]
        if key == self.key:
            self.key = ""
            self.happens(self)
        return super()._found(key)


def ended(storage: MemoryStorage) -> None:
    outcome = Outcome(id=JOB, status=Status.COMPLETED, progress=Progress(), finished_at=CREATED_AT)
    storage.create(layout.job_outcome(JOB), outcome.to_json())
    storage.delete(layout.active(JOB))


def accepted(storage: MemoryStorage) -> MemoryStorage:
    request = AcceptedRequest(
        id=JOB,
        owner="ann",
        given={},
        given_sha256="0" * 64,
        resolved=resolved(),
        created_at=CREATED_AT,
    )
    storage.put(layout.job_request(JOB), request.to_json())
    return storage


def test_a_job_that_ends_while_it_is_looked_for_is_found() -> None:
    """Its outcome comes and its marker goes between the two looks; an accepted job is never unknown."""
    storage = accepted(Between(layout.active(JOB), ended))
    storage.put(layout.active(JOB), b"")
    assert described_from_storage(storage, JOB, owner="ann").status == Status.COMPLETED


def test_a_submit_that_was_cut_off_made_no_job() -> None:
    """A request alone was never answered for."""
    with pytest.raises(UnknownJob):
        described_from_storage(accepted(MemoryStorage()), JOB, owner="ann")


def test_a_refusal_that_was_cut_off_is_completed(parts: Parts) -> None:
    """A task is refused, its worker dies before the outcome, and the next delivery finds the limit free again."""
    cut_off = AcceptedRequest(
        id=JOB,
        owner=ANONYMOUS,
        given=ask(),
        given_sha256=sha256_hex(canonical_json(ask())),
        resolved=None,
        created_at=CREATED_AT,
    )
    parts.storage.create(layout.job_request(JOB), cut_off.to_json())
    generate_job(parts, JOB, (), ask(), limits=LIMITS)
    job = describe(parts, JOB, owner=ANONYMOUS)
    assert job.status == Status.FAILED
    assert "another id" in str(job.error)


def test_a_broken_shard_is_not_taken_away() -> None:
    """Between the look and a delete another worker may have mended it: a copy is kept, and the key stays taken."""
    storage = MemoryStorage()
    storage.put("shards/x/0", b"damaged")
    assert adopt(storage, "shards/x/0") is None
    assert storage.get("shards/x/0") == b"damaged"
    assert storage.get(layout.quarantined("shards/x/0", sha256_hex(b"damaged"))) == b"damaged"
