"""Storage is damaged or away: what is hit is told or made anew, everything else goes on."""

from pathlib import Path

import pytest

from export.publish import publish
from service.contract import layout
from service.contract.job import Job, Status
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.fleet import SLOW, Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow


def test_a_broken_decoder_fails_its_jobs_alone(fleet: Fleet) -> None:
    """Jobs of it fail with a reason that names it; workers start all the same and other jobs complete."""
    fleet.start(worker=0)
    broken = {name: _publish(fleet, name) for name in ("flipped", "gone", "cut")}
    poisoned = {name: fleet.submit(decoder=name, label=0) for name in broken}
    healthy = fleet.submit(label=0)
    for name, folder in broken.items():
        _damage(folder, name)
    fleet.start(worker=1)

    for name, job in poisoned.items():
        failed = fleet.wait(job)
        assert (failed.status, name in str(failed.error)) == (Status.FAILED, True)
        assert fleet.http.get(f"/v1/jobs/{failed.id}/manifest").status_code == 409
    assert fleet.wait(healthy).status == Status.COMPLETED


def test_a_broken_card_is_told_and_hides_no_other(fleet: Fleet) -> None:
    """A submit for it is refused by name; the list of decoders leaves it out."""
    _damage(_publish(fleet, "torn"), "cut")
    refused = fleet.http.post("/v1/jobs", json={"decoder": "torn", "label": 0, "count": 1})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/decoder")
    listed = fleet.http.get("/v1/decoders").raise_for_status().json()["decoders"]
    names = {card["name"] for card in listed}
    assert "torn" not in names
    assert {"tiny", "large"} <= names


def _publish(fleet: Fleet, name: str) -> Path:
    """The folder of a decoder of this name."""
    onnx, card = tiny_decoder(name, seed=sum(name.encode()))
    publish(fleet.storage, onnx, card)
    return (fleet.objects / layout.decoder_onnx(name, card.digest)).parent


def _damage(folder: Path, how: str) -> None:
    onnx, card = folder / "decoder.onnx", folder / "card.json"
    if how == "gone":
        onnx.unlink()
    elif how == "cut":
        card.write_bytes(card.read_bytes()[:100])
    else:
        _flip_byte(onnx)


def _flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_broken_shard_is_put_aside_and_made_anew(fleet: Fleet) -> None:
    """A flipped byte on disk is noticed before reuse: the second job has the right bytes, the bad ones are kept."""
    first = fleet.wait(fleet.submit(label=1, count=5000))
    right = fleet.digests(first)
    victim = fleet.shard_files(first)[2]
    _flip_byte(victim)
    broken = victim.read_bytes()
    assert fleet.digests(first) != right

    second = fleet.wait(fleet.submit(label=1, count=5000))
    assert (second.status, second.progress.shards_reused) == (Status.COMPLETED, 4)
    assert fleet.digests(second) == right == undisturbed(second.request)
    (aside,) = (path for path in (fleet.objects / "quarantine").rglob("*") if path.is_file())
    assert aside.read_bytes() == broken
    assert fleet.manifest(second).shards == fleet.manifest(first).shards


def test_a_shard_that_vanishes_before_the_end_is_made_again(fleet: Fleet) -> None:
    """The manifest never names an object that is not there."""
    job = fleet.submit(label=2, count=12_000, **SLOW)
    fleet.run_into_the_middle(job)
    fleet.shard_files(job)[0].unlink()
    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_a_store_that_is_away_for_a_while_costs_no_attempt(fleet: Fleet) -> None:
    """The folder is gone in the middle of a job: it completes when it is back, no try was counted."""
    job = fleet.submit(label=3, count=12_000, **SLOW)
    fleet.run_into_the_middle(job)
    with fleet.storage_away():
        assert eventually(lambda: bool(_failures(fleet, job)), within_s=20)
        assert all("storage folder" in reason for reason in _failures(fleet, job))
        assert set(fleet.redis.hvals(f"lm:job:{job.id}:attempts")) <= {"0", "1"}
        refused = fleet.http.post("/v1/jobs", json={"decoder": "tiny", "label": 3, "count": 1})
        assert refused.status_code == 503

    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def _failures(fleet: Fleet, job: Job) -> list[str]:
    return [event["reason"] for event in fleet.events("shard_failed", job=job.id)]
