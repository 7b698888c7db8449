"""Running a shard: stored once, whatever happens twice; failures are recorded and bounded."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from export.publish import publish
from service.adapters.ledger_values import Verdict
from service.adapters.storage_folder import FolderStorage
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.job import Job, Status
from service.contract.manifest import ShardRecord
from service.contract.recipe import Format
from service.contract.shard import shard_at
from service.contract.value import sha256_hex
from service.lifecycle.submit import ANONYMOUS, submit
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import LIMITS, ask, new_parts, new_studio, now_is, run_all
from workers.decoder import Decoder
from workers.shard import Studio, run_shard

Submitted = Callable[..., Job]


def key_of(job: Job, index: int) -> str:
    assert job.request is not None
    shard = shard_at(index, count=job.request.count, shard_size=job.request.shard_size)
    return layout.shard_of(job.request.recipe, shard)


def test_a_shard_is_stored_with_its_record(studio: Studio, submitted: Submitted) -> None:
    """The object's metadata alone tells its checksums and the profile that made it."""
    job = submitted()
    assert run_shard(studio, job.id, 2) == Verdict.OK
    storage = studio.parts.storage
    head, data = storage.head(key_of(job, 2)), storage.get(key_of(job, 2))
    record = ShardRecord.from_metadata(head.metadata, size_bytes=head.size_bytes)
    assert (record.samples, record.sha256, record.size_bytes) == (452, sha256_hex(data), len(data))
    assert record.profile.provider == "CPUExecutionProvider"


def test_a_shard_delivered_twice_is_stored_once(studio: Studio, submitted: Submitted) -> None:
    """The second delivery does nothing."""
    job = submitted()
    assert run_shard(studio, job.id, 0) == Verdict.OK
    written = studio.parts.storage.head(key_of(job, 0)).modified_at
    assert run_shard(studio, job.id, 0) == Verdict.DONE
    assert studio.parts.storage.head(key_of(job, 0)).modified_at == written


def test_the_last_shard_finishes_the_job(studio: Studio, submitted: Submitted) -> None:
    """No other process is needed between the last commit and the outcome."""
    job = submitted()
    assert run_all(studio, job) == [Verdict.OK, Verdict.OK, Verdict.LAST]
    assert now_is(studio.parts, job).status == Status.COMPLETED


def test_a_longer_job_reuses_every_full_shard(studio: Studio, submitted: Submitted) -> None:
    """count=5000 after count=4096 makes one shard, and says so."""
    run_all(studio, submitted(count=4096))
    job = submitted(count=5000)
    run_all(studio, job)
    progress = now_is(studio.parts, job).progress
    assert (progress.shards_reused, progress.shards_total) == (4, 5)


def test_a_repeated_job_makes_nothing(studio: Studio, submitted: Submitted) -> None:
    """The same request again costs reading, not decoding; its manifest is the same but for the id."""
    first, second = submitted(), None
    run_all(studio, first)
    second = submitted()
    run_all(studio, second)
    assert second.id != first.id
    assert now_is(studio.parts, second).progress.shards_reused == 3


def test_a_broken_stored_shard_is_put_aside_and_made_anew(
    studio: Studio, submitted: Submitted
) -> None:
    """Reuse never trusts bytes that it has not hashed; the broken ones are kept for a look."""
    run_all(studio, submitted())
    job = submitted()
    storage, key = studio.parts.storage, key_of(job, 1)
    good, metadata = storage.get(key), storage.head(key).metadata
    bad = good[:-1] + bytes([good[-1] ^ 1])
    storage.put(key, bad, metadata=metadata)
    run_all(studio, job)
    assert storage.get(key) == good
    assert storage.get(layout.quarantined(key, sha256_hex(bad))) == bad
    assert now_is(studio.parts, job).progress.shards_reused == 2


def test_an_object_that_is_not_ours_is_put_aside(studio: Studio, submitted: Submitted) -> None:
    """A file somebody copied to a shard's key is never taken for the shard."""
    job = submitted()
    studio.parts.storage.put(key_of(job, 0), b"hello")
    assert run_shard(studio, job.id, 0) == Verdict.OK
    assert studio.parts.storage.get(key_of(job, 0)) != b"hello"


def overtaken(studio: Studio, job: Job, redis_url: str) -> Verdict:
    """Another worker takes the shard over and runs it, as if the first one's lease had run out."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"lm:job:{job.id}:holders")
    return run_shard(new_studio(studio.parts), job.id, 0)


def test_a_worker_that_was_overtaken_while_decoding_writes_nothing(
    studio: Studio, submitted: Submitted, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for its lease again before the write, and has lost it."""
    job = submitted(count=1024)
    batches, verdicts = Decoder.batches, []

    def slow(decoder: Decoder, *args: object) -> object:
        monkeypatch.setattr(Decoder, "batches", batches)
        verdicts.append(overtaken(studio, job, redis_url))
        return batches(decoder, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "batches", slow)
    assert run_shard(studio, job.id, 0) == Verdict.STOP
    assert verdicts == [Verdict.LAST]
    assert now_is(studio.parts, job).status == Status.COMPLETED


def test_a_worker_that_was_overtaken_while_writing_adopts_the_shard(
    studio: Studio, submitted: Submitted, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store lets one of two writers win; the other finds the object intact and counts nothing twice."""
    job = submitted(count=1024)
    create, verdicts = FolderStorage.create, []

    def slow(storage: FolderStorage, *args: object, **kwargs: object) -> None:
        monkeypatch.setattr(FolderStorage, "create", create)
        verdicts.append(overtaken(studio, job, redis_url))
        create(storage, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStorage, "create", slow)
    assert run_shard(studio, job.id, 0) == Verdict.DUP
    assert verdicts == [Verdict.LAST]
    assert now_is(studio.parts, job).progress.shards_done == 1


def test_a_cancelled_job_drops_the_shard_in_hand(
    studio: Studio, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker sees the cancel at its next heartbeat and stores nothing."""
    job = submitted(count=1024)
    batches = Decoder.batches

    def cancel_meanwhile(decoder: Decoder, *args: object) -> object:
        studio.parts.ledger.cancel(job.id)
        return batches(decoder, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "batches", cancel_meanwhile)
    assert run_shard(studio, job.id, 0) == Verdict.STOP
    with pytest.raises(ObjectMissing):
        studio.parts.storage.head(key_of(job, 0))


def test_a_broken_decoder_fails_the_job_at_once(studio: Studio, submitted: Submitted) -> None:
    """A decoder whose bytes are not its card's is never run, and the client is told."""
    job = submitted()
    assert job.request is not None
    onnx = layout.decoder_onnx("tiny", job.request.digest)
    studio.parts.storage.put(onnx, studio.parts.storage.get(onnx) + b"x")
    assert run_shard(studio, job.id, 0) == Verdict.FAIL
    failed = now_is(studio.parts, job)
    assert failed.status == Status.FAILED
    assert failed.error is not None
    assert "its card says" in failed.error


def test_running_out_of_memory_is_recorded_and_bounded(
    studio: Studio, submitted: Submitted, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    """A MemoryError never leaves the task (Celery's thread pool would stop), and ends the job after its attempts."""

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Decoder, "batches", exhausted)
    job = submitted()
    for _ in range(3):
        assert run_shard(studio, job.id, 0) == Verdict.OK
        with redis.Redis.from_url(redis_url) as client:
            client.delete(f"lm:job:{job.id}:leases")
    assert run_shard(studio, job.id, 0) == Verdict.FAIL
    failed = now_is(studio.parts, job)
    assert failed.error is not None
    assert "shard_size" in failed.error


@pytest.mark.parametrize("format", list(Format))
def test_workers_make_the_same_bytes(format: Format, redis_url: str, tmp_path: Path) -> None:
    """Two stores, two sessions with other thread counts, shards in opposite order: equal objects."""
    stores = []
    for name, order, threads in (("one", (0, 1, 2), 1), ("two", (2, 1, 0), 2)):
        parts = new_parts(redis_url, tmp_path / name)
        publish(parts.storage, *tiny_decoder())
        job = submit(parts, ask(format=format), owner=ANONYMOUS, limits=LIMITS).job
        studio = new_studio(parts, threads=threads)
        for index in order:
            run_shard(studio, job.id, index)
        stores.append({e.key: parts.storage.get(e.key) for e in parts.storage.list("shards/")})
    assert stores[0] == stores[1]
    assert len(stores[0]) == 3


def test_a_shard_made_anew_meanwhile_is_not_put_aside(
    studio: Studio, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs meet the same broken shard; the slower one leaves what the faster one wrote."""
    run_all(studio, submitted())
    job = submitted()
    storage, key = studio.parts.storage, key_of(job, 0)
    good, metadata = storage.get(key), storage.head(key).metadata
    storage.put(key, b"damaged", metadata=metadata)
    put = FolderStorage.put

    def meanwhile(folder: FolderStorage, *args: object, **kwargs: object) -> None:
        monkeypatch.setattr(FolderStorage, "put", put)
        storage.put(key, good, metadata=metadata)
        put(folder, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStorage, "put", meanwhile)
    written: list[str] = []
    monkeypatch.setattr(FolderStorage, "delete", lambda _, key: written.append(key))
    run_shard(studio, job.id, 0)
    assert key not in written
    assert storage.get(key) == good
