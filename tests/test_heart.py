"""A worker's heart: counted on while it beats, ended when a shard stopped moving, left alone when idle."""

import subprocess
import sys
import time

import redis

from service.adapters.ledger import Ledger
from workers.heart import WEDGED, Heart
from workers.lease import Watch

WORKER = """
import sys, time
from service.adapters.ledger import Ledger
from service.adapters.redis_client import connect
from service.contract.settings import Settings
from workers.heart import Heart
from workers.lease import Lease, Watch

ledger, watch = Ledger(connect(Settings(redis_url=sys.argv[1]))), Watch()
heart = Heart(ledger, watch, name="w1", slots=1, profile={}, limit_s=0.5)
if sys.argv[2] == "hung":
    watch.holding(Lease(ledger, "job-0001", 0, heartbeat_s=0.5)).__enter__()
heart.start()
time.sleep(5)
heart.stop()
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


def test_a_heart_counts_its_slots_and_says_goodbye(ledger: Ledger, redis_url: str) -> None:
    """Dispatch sizes its window by workers that beat."""
    heart = Heart(ledger, Watch(), name="w1", slots=3, profile={"device": "x"}, limit_s=60)
    heart.start()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for _ in range(200):
            if client.hget("lm:workers:slots", "w1") == "3":
                break
            time.sleep(0.02)
    assert ledger.live_slots() == 3
    heart.stop()
    assert ledger.live_slots() == 0
