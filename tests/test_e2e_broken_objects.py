"""Storage is damaged or away: what is hit is told or made anew, everything else goes on."""

import pytest

from export.publish import publish
from service.contract import layout
from service.contract.job import Job, Status
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.fleet import Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed


@pytest.mark.parametrize("damage", ["decoder.onnx flipped", "decoder.onnx gone", "card.json cut"])
def test_a_broken_decoder_fails_its_jobs_alone(fleet: Fleet, damage: str) -> None:
    """Jobs of it fail with a reason that names it; workers start all the same and other jobs complete."""
    name = f"poison-{damage.split('.')[0]}-{damage.split()[1]}"
    digest = _publish(fleet, name)
    fleet.start(worker=0)
    poisoned = fleet.submit(decoder=name, label=0)
    healthy = fleet.submit(label=0)
    _damage(fleet, name, digest, damage)
    fleet.start(worker=1)

    failed = fleet.wait(poisoned)
    assert failed.status == Status.FAILED
    assert failed.error is not None
    assert name in failed.error
    assert fleet.wait(healthy).status == Status.COMPLETED
    assert fleet.http.get(f"/v1/jobs/{failed.id}/manifest").status_code == 409
    if damage.startswith("card"):
        refused = fleet.http.post("/v1/jobs", json={"decoder": name, "label": 0, "count": 1})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/decoder")
    assert name not in {card["name"] for card in _listed(fleet)} or "decoder.onnx" in damage
    fleet.storage.delete(layout.decoder_current(name))


def _listed(fleet: Fleet) -> list[dict[str, object]]:
    return list(fleet.http.get("/v1/decoders").raise_for_status().json()["decoders"])


def _publish(fleet: Fleet, name: str) -> str:
    onnx, card = tiny_decoder(name, seed=sum(name.encode()))
    publish(fleet.storage, onnx, card)
    return card.digest


def _damage(fleet: Fleet, name: str, digest: str, damage: str) -> None:
    folder = fleet.objects / layout.decoder_onnx(name, digest).rpartition("/")[0]
    file, how = damage.split()
    if how == "gone":
        (folder / file).unlink()
        return
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data if how == "flipped" else data[:100])


def test_a_broken_shard_is_put_aside_and_made_anew(fleet: Fleet) -> None:
    """A flipped byte on disk is noticed before reuse: the second job has the right bytes, the bad ones are kept."""
    first = fleet.wait(fleet.submit(label=1, count=5000))
    right = fleet.digests(first)
    victim = fleet.shard_files(first)[2]
    data = bytearray(victim.read_bytes())
    data[1000] ^= 1
    victim.write_bytes(data)
    assert fleet.digests(first) != right

    second = fleet.wait(fleet.submit(label=1, count=5000))
    assert (second.status, second.progress.shards_reused) == (Status.COMPLETED, 4)
    assert fleet.digests(second) == right == undisturbed(second.request)
    (aside,) = (path for path in (fleet.objects / "quarantine").rglob("*") if path.is_file())
    assert aside.read_bytes() == data
    assert fleet.manifest(second).shards == fleet.manifest(first).shards


def test_a_shard_that_vanishes_before_the_end_is_made_again(fleet: Fleet) -> None:
    """The manifest never names an object that is not there."""
    job = fleet.submit(label=2, count=30_000)
    fleet.run_into_the_middle(job)
    fleet.shard_files(job)[0].unlink()
    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_a_store_that_is_away_for_a_while_costs_no_attempt(fleet: Fleet) -> None:
    """The folder is gone in the middle of a job: it completes when it is back, no try was counted."""
    job = fleet.submit(label=3, count=30_000)
    fleet.run_into_the_middle(job)
    away = fleet.objects.rename(fleet.objects.with_name("away"))
    try:
        assert eventually(lambda: bool(_failures(fleet, job)), within_s=20)
        assert all("storage folder" in reason for reason in _failures(fleet, job))
        assert set(fleet.redis.hvals(f"lm:job:{job.id}:attempts")) <= {"0", "1"}
        refused = fleet.http.post("/v1/jobs", json={"decoder": "tiny", "label": 3, "count": 1})
        assert refused.status_code == 503
    finally:
        away.rename(fleet.objects)

    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def _failures(fleet: Fleet, job: Job) -> list[str]:
    return [event["reason"] for event in fleet.events("shard_failed", job=job.id)]
