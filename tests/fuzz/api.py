"""Every route of a real deployment against its own OpenAPI document, by Schemathesis with all checks.

`python -m tests.fuzz.api --examples 2000` is what `make fuzz` runs.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from service.adapters.storage import Storage
from service.contract.key import Scope
from service.lifecycle.keys import create_key
from tests.fixtures.fleet import Fleet
from tests.fuzz.document import narrowed

#: Jobs are small, so that the worker keeps up with thousands of them.
MAX_COUNT = 4096
LABELS: list[Any] = [0, 3, "7"]
#: 404 there says that the job, which is known, has no repair or no webhook.
CONFIG = """
# In a path the number 2 and the text "2" are one: what should be refused for its type may be what is allowed.
[[operations]]
include-operation-id = ["get_image"]
checks.negative_data_rejection.enabled = false

[[operations]]
include-operation-id = ["get_repair", "get_webhook", "redeliver_webhook"]
checks.ensure_resource_availability.enabled = false
"""
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
#: Reserved, so that nobody is called (RFC 6761).
WEBHOOK = "https://latentmill.invalid/"
PHASES = "examples,coverage,fuzzing,stateful"


def schemathesis(
    http: httpx.Client,
    folder: Path,
    *,
    jobs: list[str],
    max_count: int,
    examples: int,
    phases: str = PHASES,
    routes: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run every check on every route of the server behind `http`; returncode 0 means nothing was found."""
    document = http.get("/openapi.json").json()
    decoders = [card["name"] for card in http.get("/v1/decoders").json()["decoders"]]
    allowed = narrowed(document, decoders=decoders, labels=LABELS, jobs=jobs, max_count=max_count)
    (folder / "openapi.json").write_text(json.dumps(allowed))
    (folder / "schemathesis.toml").write_text(CONFIG)
    words = [
        *("run", "openapi.json", "--url", str(http.base_url)),
        *("--header", f"Authorization:{http.headers['Authorization']}"),
        *("--phases", phases, "--max-examples", str(examples), "--seed", "1"),
        *("--continue-on-failure", "--no-color", "--generation-database", "none"),
        *(word for route in routes for word in ("--include-operation-id", route)),
        *("--report", "junit", "--report-junit-path", "junit.xml"),
    ]
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def token_of(storage: Storage) -> str:
    """A new key that may do everything, so that the checks see what happens without one."""
    return create_key(storage, "fuzz", list(Scope), now=datetime.now(UTC)).token


def _jobs(fleet: Fleet) -> list[str]:
    """One completed job with a webhook, and one cancelled."""
    done = fleet.wait(fleet.submit(count=MAX_COUNT, webhook=WEBHOOK))
    stopped = fleet.submit(decoder="large", compression="small", count=MAX_COUNT)
    fleet.http.post(f"/v1/jobs/{stopped.id}/cancel")
    return [done.id, fleet.wait(stopped).id]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=100, help="requests a route")
    parser.add_argument("routes", nargs="*", help="operation ids; all by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fleet = Fleet(folder, max_count=MAX_COUNT, webhook_secret=SECRET)
        try:
            fleet.start(api=1, sweep=1, worker=1)
            fleet.http.headers["Authorization"] = f"Bearer {token_of(fleet.storage)}"
            told = schemathesis(
                fleet.http,
                folder,
                jobs=_jobs(fleet),
                max_count=MAX_COUNT,
                examples=asked.examples,
                routes=asked.routes,
            )
            failed = fleet.events("request_failed")
        finally:
            fleet.stop()
    print(told.stdout, *failed, sep="\n")
    return told.returncode or bool(failed)


if __name__ == "__main__":
    sys.exit(main())
