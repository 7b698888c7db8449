"""A client that nobody here wrote, generated from the OpenAPI document: it submits, waits and downloads."""

import json
import subprocess
import zipfile
from pathlib import Path

import httpx
import pytest

from service.local.stack import Stack
from tests.fixtures.stack import TINY

# The generator lives in an environment of its own, without Latentmill: `make test-readers`.
pytestmark = pytest.mark.readers
ELSEWHERE = Path(__file__).parent.parent / ".venv-client" / "bin"

SCRIPT = f"""
import sys
from http import HTTPStatus
from latentmill_client import Client
from latentmill_client.api.decoders import get_decoders
from latentmill_client.api.downloads import get_manifest, get_shard
from latentmill_client.api.jobs import get_job, quote_job, submit_job
from latentmill_client.models import JobRequest, Status

url, target = sys.argv[1:]
client = Client(base_url=url, follow_redirects=True)
assert "{TINY}" in [card.name for card in get_decoders.sync(client=client).decoders]
body = JobRequest.from_dict({{"decoder": "{TINY}", "labels": {{"3": 900, "4": 300}}, "seed": "9223372036854775807"}})
assert quote_job.sync(client=client, body=body).samples == 1200
job = submit_job.sync(client=client, body=body, idempotency_key="from a generated client")
again = submit_job.sync(client=client, body=body, idempotency_key="from a generated client")
assert again.id == job.id
while job.status not in (Status.COMPLETED, Status.FAILED):
    job = get_job.sync(job.id, client=client, prefer="wait=20")
assert job.status == Status.COMPLETED and job.request.seed == 2**63 - 1
manifest = get_manifest.sync(job.id, client=client)
archive = get_shard.sync_detailed(job.id, 0, client=client)
assert archive.status_code == HTTPStatus.OK and len(archive.content) == manifest.shards[0].size_bytes
open(target, "wb").write(archive.content)
refused = submit_job.sync(client=client, body=JobRequest(decoder="{TINY}", count=0))
assert [fault.pointer for fault in refused.errors] == ["/count", "/label"]
"""


def test_it_submits_waits_and_downloads(stack: Stack, tmp_path: Path) -> None:
    """Every answer is parsed into the generated models; refusals come as problems with every fault."""
    document, client = tmp_path / "openapi.json", tmp_path / "client"
    document.write_text(json.dumps(httpx.get(f"{stack.url}/openapi.json").json()))
    subprocess.run(
        [
            ELSEWHERE / "openapi-python-client",
            "generate",
            "--path",
            document,
            "--output-path",
            client,
        ],
        check=True,
        capture_output=True,
    )
    archive = tmp_path / "archive.zip"
    ran = subprocess.run(
        [ELSEWHERE / "python", "-c", SCRIPT, stack.url, archive],
        cwd=client,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert len(opened.namelist()) == 1201
