"""One run: open, hurt, wait until every job has ended, have damaged shards repaired, reckon."""

import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.client import Client
from tests.chaos.grounds import Grounds, attended
from tests.chaos.makings import count_makings
from tests.chaos.mischief import Mischief
from tests.chaos.reckoning import Reckoning
from tests.chaos.traffic import Traffic

#: Bars: the last job's end after the last fault, and makings that nobody needed.
LAST_END_S, WASTED_PERCENT = 90.0, 3.0
#: A worker's log then tells of every shard that it begins to make.
_TOLD = {"log_level": "debug"}
#: Looked on longer than the bar, to tell late from never.
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Plan:
    """`settings` as in the environment of every role."""

    seconds: float
    seed: int
    folder: Path
    settings: dict[str, Any]
    pause_s: tuple[float, float] = (0.5, 5.0)


def run(plan: Plan) -> dict[str, Any]:
    """Everything that is to be told, by name; `violations` is empty when all bars were met."""
    with attended(Grounds(plan.folder, **_TOLD | plan.settings)) as grounds:
        traffic = Traffic(grounds.urls, grounds.redis_server.url, f"{plan.seed}")
        mischief = Mischief(grounds, f"{plan.seed}", pause_s=plan.pause_s)
        traffic.start()
        over_at = mischief.go_on_for(plan.seconds)
        traffic.close()
        _wait_for_all(traffic)
        traffic.end()
        repaired = _repair(grounds, Reckoning(grounds.storage, traffic.asks).broken())
        return _report(plan, grounds, traffic, mischief, over_at, repaired)


def _wait_for_all(traffic: Traffic) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while traffic.open_asks() and time.monotonic() < deadline:
        time.sleep(0.2)


def _repair(grounds: Grounds, job_ids: list[str]) -> int:
    """Ask for repair of what was damaged after its job had counted it; how many jobs that were."""
    client = Client(grounds.urls, random.Random(0))
    for job_id in job_ids:
        client.ask("POST", f"/v1/jobs/{job_id}/repair")
        for _ in range(300):
            answer = client.ask("GET", f"/v1/jobs/{job_id}/repair")
            if answer is not None and answer.json().get("finished_at"):
                break
            time.sleep(0.1)
    client.close()
    return len(job_ids)


def _report(
    plan: Plan,
    grounds: Grounds,
    traffic: Traffic,
    mischief: Mischief,
    over_at: float,
    repaired: int,
) -> dict[str, Any]:
    reckoning = Reckoning(grounds.storage, traffic.asks)
    sets = reckoning.sets()
    logs = [role.log for role in grounds.roles if role.name == "worker"]
    makings = count_makings(logs, grounds.damaged, reckoning.cancelled)
    outcomes = reckoning.outcomes.values()
    last_end_s = max((o.finished_at.timestamp() for o in outcomes), default=over_at) - over_at
    return {
        "seed": plan.seed,
        "seconds": plan.seconds,
        "settings": plan.settings,
        "asked": dict(Counter(ask.way for ask in traffic.asks)),
        "accepted": sum(len(ask.ids) for ask in traffic.asks),
        "ended": dict(Counter(str(outcome.status) for outcome in outcomes)),
        "samples": sum(o.progress.samples_done for o in outcomes),
        "turned_away": sum(ask.turned_away for ask in traffic.asks),
        "tries_that_found_nobody": traffic.failovers,
        "faults": mischief.counts(),
        "processes_started": len(grounds.roles),
        "shards_damaged": len(grounds.damaged),
        "jobs_repaired": repaired,
        **{name: len(entries) for name, entries in asdict(sets).items()},
        "cancels_forgotten": _forgotten_cancels(traffic, reckoning),
        "shards_needed": makings.shards,
        "shard_runs": makings.runs,
        "wasted_runs": makings.wasted,
        "wasted_percent": round(makings.wasted_percent, 2),
        "last_end_s": round(max(0.0, last_end_s), 1),
        "violations": sets.violations + _missed(last_end_s, makings.wasted_percent),
        "diary": [asdict(fault) for fault in sorted(mischief.faults, key=lambda fault: fault.at)],
    }


def _missed(last_end_s: float, wasted_percent: float) -> list[str]:
    missed = []
    if last_end_s > LAST_END_S:
        missed.append(f"the last job ended {last_end_s:.0f} s after the last fault")
    if wasted_percent > WASTED_PERCENT:
        missed.append(f"{wasted_percent:.1f} % of the makings were wasted")
    return missed


def _forgotten_cancels(traffic: Traffic, reckoning: Reckoning) -> int:
    """Cancels that were accepted and not yet carried out when Redis forgot them; nobody was told `cancelled`."""
    return sum(
        ask.cancel_told == "cancelling" and reckoning.outcomes[job_id].status == "completed"
        for ask in traffic.asks
        for job_id in ask.ids
        if job_id in reckoning.outcomes
    )
