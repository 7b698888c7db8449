"""The short editions: twenty seconds of faults, and every process restarted in turn under load."""

import signal
import time
from pathlib import Path

import pytest

from tests.chaos.grounds import Grounds, attended
from tests.chaos.makings import count_makings
from tests.chaos.reckoning import Reckoning
from tests.chaos.run import Plan, run
from tests.chaos.traffic import Traffic
from tests.fixtures.fleet import QUICK
from tests.fixtures.processes import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_twenty_seconds_of_chaos(tmp_path: Path) -> None:
    """Nothing lost, nothing twice, no wrong byte, nobody told otherwise; all ended soon after the last fault."""
    report = run(Plan(seconds=20, seed=1, folder=tmp_path, settings=dict(QUICK)))
    # So short a run wastes more than a long one in percent: a kill costs the same, and less is made.
    assert [told for told in report["violations"] if "wasted" not in told] == []
    assert report["accepted"] > 20
    assert sum(report["faults"].values()) > 5


def test_a_rolling_restart_fails_no_request_and_wastes_nothing(tmp_path: Path) -> None:
    """SIGTERM to every process in turn while clients submit, cancel and look: a client that finds one API closed
    asks the other; every process ends with 0, every job as it should, and no shard is made twice."""
    with attended(Grounds(tmp_path, log_level="debug")) as grounds:
        traffic = Traffic(grounds.urls, grounds.redis_server.url, "rolling")
        traffic.start()
        for post in grounds.posts:
            time.sleep(1)
            assert post.role is not None
            post.role.signal(signal.SIGTERM)
            assert post.role.ended(within_s=30) == 0
            assert eventually(grounds.is_whole, within_s=60)
        traffic.close()
        assert eventually(lambda: not traffic.open_asks(), within_s=60)
        traffic.end()
        logs = [role.log for role in grounds.roles if role.name == "worker"]
        reckoning = Reckoning(grounds.storage, traffic.asks)
        assert reckoning.sets().violations == []
        assert count_makings(logs, [], reckoning.cancelled).wasted == 0
        assert [ask for ask in traffic.asks if ask.unanswered and ask.way != "plain"] == []
