"""A worker's life as others see it: ready when warm, gone without a trace of its shards."""

import signal
import time
from pathlib import Path

import pytest

from service.contract.job import Status
from tests.fixtures.fleet import NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow

#: A second and a half of work in each, on one core.
LONG = {"decoder": "large", "compression": "small", "shard_size": 16_384}


def test_a_worker_out_of_time_hands_its_shards_to_another(
    new_fleet: NewFleet, tmp_path: Path
) -> None:
    """SIGTERM with long shards in hand: exit code 0, another worker begins them at once, not after the lease."""
    beat = tmp_path / "beat"
    fleet = new_fleet(grace_s=0.2, lease_s=60, queue_lease_s=60, heartbeat_file=beat)
    fleet.start(api=1)
    assert not beat.exists()
    fleet.start(worker=1)
    (leaver,) = fleet.living("worker")
    assert [event["event"] for event in leaver.events("kernels_ready")] == ["kernels_ready"]
    assert eventually(beat.exists, within_s=5)

    job = fleet.submit(label=1, count=2 * 16_384, **LONG)
    assert eventually(lambda: len(fleet.running_shards(job)) == 2, within_s=20)
    fleet.start(worker=2)
    leaver.signal(signal.SIGTERM)
    told_at = time.monotonic()
    assert leaver.ended(within_s=10) == 0
    handed_back = {event["shard"] for event in leaver.events("shard_handed_back")}
    assert fleet.wait(job, within_s=30).status == Status.COMPLETED
    assert time.monotonic() - told_at < 30
    assert handed_back
    assert fleet.digests(job) == undisturbed(job.request)
    assert fleet.parts.ledger.live_workers() == 1
