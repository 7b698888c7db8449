"""`make load`: a crowd that submits at once, and one job of a hundred million images beside ten thousand of one."""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from service.contract import layout
from service.contract.job import Outcome
from tests.chaos.grounds import Grounds, attended
from tests.chaos.posts import Posts, percentiles, posting

_ONE = {"decoder": "tiny", "label": 3, "count": 1}
_GIANT = {"decoder": "large", "label": 0, "count": 100_000_000}
#: Clients that submit the small jobs beside the giant.
_CLIENTS = 20


async def crowd(grounds: Grounds, *, submitters: int, seconds: float) -> dict[str, Any]:
    """Everybody submits one job after the other, as fast as they are accepted."""
    deadline = time.monotonic() + seconds

    async def submitter(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < deadline:
            url = grounds.urls[number % len(grounds.urls)]
            await posts.send(url, _ONE | {"seed": chance.randrange(2**50)})

    async with posting(grounds, connections=submitters) as posts:
        await asyncio.gather(*map(submitter, range(submitters)))
        figures = posts.figures(grounds)
        drained_s = await _drained(grounds, unfinished=0)
        return figures | {"drained_s": drained_s} | _outcomes(grounds, posts)


async def beside_a_giant(grounds: Grounds, *, small_jobs: int) -> dict[str, Any]:
    """Small jobs while a giant runs: how long each waited for its outcome, and what the giant did meanwhile."""

    async def client() -> None:
        for number in numbers:
            while not await posts.send(grounds.urls[number % 2], _ONE | {"seed": number}):
                pass

    numbers = iter(range(small_jobs))
    async with posting(grounds, connections=_CLIENTS) as posts:
        giant = await posts.send(grounds.urls[0], _GIANT)
        assert giant is not None, posts.errors
        while not (before := await _samples_done(posts, grounds, giant)):
            await asyncio.sleep(0.2)
        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
        await _drained(grounds, unfinished=1)
        took_s, figures = time.monotonic() - began, posts.figures(grounds)
        meanwhile = await _samples_done(posts, grounds, giant) - before
        await posts.http.post(f"{grounds.urls[0]}/v1/jobs/{giant}/cancel")
        del posts.sent_at[giant]
        return {
            **figures,
            "took_s": round(took_s, 1),
            **_outcomes(grounds, posts),
            "giant_samples_meanwhile": meanwhile,
            "giant_ended": json.loads(grounds.storage.get(layout.job_outcome(giant)))["status"],
        }


async def _samples_done(posts: Posts, grounds: Grounds, job_id: str) -> int:
    answer = await posts.http.get(f"{grounds.urls[0]}/v1/jobs/{job_id}")
    return int(answer.json()["progress"]["samples_done"])


async def _drained(grounds: Grounds, *, unfinished: int) -> float:
    """Seconds until no more jobs than these are unfinished."""
    began = time.monotonic()
    while await asyncio.to_thread(grounds.parts.ledger.active_jobs) > unfinished:
        await asyncio.sleep(0.1)
    return round(time.monotonic() - began, 1)


def _outcomes(grounds: Grounds, posts: Posts) -> dict[str, Any]:
    """From POST to outcome, by storage's records and the one clock of this machine."""
    waits, completed = [], 0
    for job_id, sent_at in posts.sent_at.items():
        outcome = Outcome.model_validate_json(grounds.storage.get(layout.job_outcome(job_id)))
        waits.append(outcome.finished_at.timestamp() - sent_at)
        completed += outcome.status == "completed"
    return {"completed": completed, **percentiles("outcome_ms", waits)}


def main() -> int:
    """Exit code 1 when a POST failed or a job did not complete."""
    arguments = _parser().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="latentmill-load-"))
    with attended(Grounds(folder, log_level="info")) as grounds:
        report = {
            "crowd": asyncio.run(
                crowd(grounds, submitters=arguments.submitters, seconds=arguments.seconds)
            ),
            "beside_a_giant": asyncio.run(beside_a_giant(grounds, small_jobs=arguments.jobs)),
        }
    shutil.rmtree(folder)
    for part, figures in report.items():
        print(f"\n{part.replace('_', ' ')}")
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):>24}  {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    failed = any(
        part["errors"] or part["completed"] < part["accepted"] - 1 for part in report.values()
    )
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.chaos.load", description=__doc__)
    parser.add_argument("--submitters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--jobs", type=int, default=10_000, help="of one image, beside the giant")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
