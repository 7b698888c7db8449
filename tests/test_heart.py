"""A worker's heart: counted on while it beats, ended when a shard stopped moving, left alone when idle."""

import subprocess
import sys
import time
from pathlib import Path

import redis

from service.adapters.ledger import Ledger
from tests.fixtures.parts import new_parts
from workers.heart import WEDGED, Heart
from workers.lease import Watch
from workers.sign import Sign

WORKER = """
import sys, time
from service.contract.settings import Settings
from service.lifecycle.parts import open_parts
from workers import heart
from workers.lease import Lease, Watch
from workers.sign import Sign

heart.BEAT_S = 0.05
parts, watch = open_parts(Settings(redis_url=sys.argv[1], storage_url="file:///tmp")), Watch()
beating = heart.Heart(
    parts.ledger, parts.queue, watch, Sign(None), name="w1", slots=1, info={}, limit_s=0.5
)
if sys.argv[2] == "hung":
    watch.holding(Lease(parts.ledger, "job-0001", 0, heartbeat_s=0.5)).__enter__()
if sys.argv[2] in ("starving", "eating"):
    parts.queue.send_shard("job-0001", 0, small=True)
beating.start()
for _ in range(300):
    if sys.argv[2] == "eating":
        with watch.at_work():
            pass
    time.sleep(0.01)
beating.stop()
"""


def run_worker(redis_url: str, kind: str) -> int:
    command = [sys.executable, "-c", WORKER, redis_url, kind]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def test_a_hung_worker_ends_itself(redis_url: str) -> None:
    """A forward pass that never returns cannot be interrupted, so the process is; a supervisor restarts it."""
    assert run_worker(redis_url, "hung") == WEDGED


def test_an_idle_worker_is_left_alone(redis_url: str) -> None:
    """No shard in hand means nothing to wait for."""
    assert run_worker(redis_url, "idle") == 0


def test_a_worker_that_takes_no_message_ends_itself(redis_url: str) -> None:
    """A broken consumer still beats; that messages lie there, and nobody takes one, gives it away."""
    assert run_worker(redis_url, "starving") == WEDGED


def test_a_long_queue_is_no_wedge(redis_url: str) -> None:
    """Whoever takes one message after the other is at work, however many are left."""
    assert run_worker(redis_url, "eating") == 0


def test_a_heart_counts_its_slots_and_says_goodbye(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    """Dispatch sizes its window by workers that beat."""
    queue = new_parts(redis_url, tmp_path).queue
    sign = Sign(tmp_path / "beat")
    heart = Heart(ledger, queue, Watch(), sign, name="w1", slots=3, info={}, limit_s=60)
    heart.start()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for _ in range(200):
            if client.hget("lm:workers:slots", "w1") == "3":
                break
            time.sleep(0.02)
    assert ledger.live_slots() == 3
    assert float((tmp_path / "beat").read_text()) <= time.monotonic()
    heart.retire()
    assert ledger.live_slots() == 0
    heart.stop()
    assert not (tmp_path / "beat").exists()
