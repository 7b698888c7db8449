"""The documentation is true: every command in it is run, every setting is in it, every file it names is there."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from latentmill import Client, SyntheticDataset
from latentmill.shuffle import Shuffle

from export.publish import publish_bundled
from service.adapters.storage import open_storage
from service.contract.errors import UnknownJob
from service.contract.job import Job
from service.contract.settings import (
    ApiSettings,
    ClientSettings,
    Settings,
    SweepSettings,
    WorkerSettings,
)
from service.local.stack import Stack
from tests.fixtures.idx import idx_bytes, write_idx_folder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDES = sorted(f"deploy/guides/{path.name}" for path in (ROOT / "deploy" / "guides").glob("*.md"))
#: The pages whose commands are run.
PAGES = {page: (ROOT / page).read_text() for page in ("README.md", "export/README.md", *GUIDES)}
MNIST = ROOT.parent / "shared" / "data" / "mnist"
ADDRESS = "127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    found = rf"^```{language}\n(.*?)^```"
    return [
        block
        for page in PAGES.values()
        for block in re.findall(found, page, re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    """A running stack with the decoder that ships, and this Python's commands on the PATH."""
    settings = Settings(storage_url=str(stack.settings["storage_url"]))
    publish_bundled(open_storage(settings))
    broker = stack.settings["redis_url"]
    told = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LATENTMILL_URL": stack.url,
        "BROKER_URL": str(getattr(broker, "get_secret_value", lambda: broker)()),
    }
    return os.environ | told


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def here(text: str, environment: dict[str, str]) -> str:
    """The text as it would read for the stack of this test."""
    return text.replace(ADDRESS, environment["LATENTMILL_URL"].removeprefix("http://"))


def _shell_blocks() -> list[Any]:
    """Those that train take minutes."""
    trains = re.compile(r"latentmill (train|compare)")
    return [
        pytest.param(
            block,
            id=block.split("\n")[0][:40],
            marks=[pytest.mark.slow] if trains.search(block) else [],
        )
        for block in blocks("bash")
    ]


@pytest.mark.parametrize("script", _shell_blocks())
def test_a_shell_block_runs(script: str, environment: dict[str, str], tmp_path: Path) -> None:
    """As a reader would paste it, line by line, the first failure ending it."""
    script = script.replace("/tmp/latentmill-objects", str(tmp_path / "objects"))
    answer = run(
        ["bash", "-euo", "pipefail", "-c", here(script, environment)], environment, tmp_path
    )
    assert '"status":4' not in answer.replace(" ", "")


#: The one that trains has a test of its own.
TRAINING = "cross_entropy"


@pytest.mark.parametrize(
    "script",
    [block for block in blocks("python") if TRAINING not in block],
    ids=lambda script: script.split("\n")[0][:40],
)
def test_a_python_block_runs(script: str, environment: dict[str, str], tmp_path: Path) -> None:
    """With nothing but the packages that Latentmill needs."""
    run([sys.executable, "-c", here(script, environment)], environment, tmp_path)


def test_the_api_reference_is_that_of_the_api() -> None:
    """Whoever changes a route writes the page anew: `make reference`."""
    printed = run([sys.executable, "deploy/reference/generate", "--print"], dict(os.environ), ROOT)
    assert (ROOT / "deploy" / "API.md").read_text() == printed


#: What each call of ours asks of S3, by the service authorization reference.
S3_ACTIONS = {
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject"},
    "put_object": {"s3:PutObject"},
    "copy_object": {"s3:GetObject", "s3:PutObject"},
    "delete_object": {"s3:DeleteObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
}


def test_the_policy_allows_what_is_called() -> None:
    """A call that is new asks for its line in the guide."""
    policy = json.loads(
        re.findall(r"^```json\n(.*?)^```", PAGES["deploy/guides/s3.md"], re.M | re.S)[0]
    )
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    sources = (ROOT / "service" / "adapters").glob("storage_s3*.py")
    called = {
        name
        for path in sources
        for found in re.findall(r"client\.(\w+)\(|get_paginator\(\"(\w+)\"\)", path.read_text())
        for name in found
        if name and name not in ("get_paginator", "generate_presigned_url")
    }
    assert called >= {"put_object", "get_object", "list_objects_v2"}
    assert set().union(*(S3_ACTIONS[name] for name in called)) <= allowed


def mnist_like(folder: Path) -> Path:
    """A small folder as MNIST's: digits that the committed decoder draws, of a seed that no page uses."""
    digits = SyntheticDataset("mnist", count=80, seed=2026)
    images, labels = digits.arrays(Shuffle(len(digits), seed=0)(np.arange(len(digits))))
    files = {
        "train-images-idx3-ubyte": images[:600, :, :, 0],
        "train-labels-idx1-ubyte": labels[:600],
        "t10k-images-idx3-ubyte": images[600:, :, :, 0],
        "t10k-labels-idx1-ubyte": labels[600:],
    }
    return write_idx_folder(
        folder, {name: idx_bytes(array.astype(np.uint8)) for name, array in files.items()}
    )


@pytest.mark.slow
def test_the_mixed_training_learns(environment: dict[str, str], tmp_path: Path) -> None:
    """What the guide's script prints are two accuracies, far from chance."""
    script = next(block for block in blocks("python") if TRAINING in block)
    folder = MNIST if MNIST.is_dir() else mnist_like(tmp_path / "mnist")
    printed = run([sys.executable, "-c", script], environment | {"MNIST": str(folder)}, tmp_path)
    alone, mixed = (float(found) for found in re.findall(r"(\d+\.\d+)%", printed))
    assert min(alone, mixed) > 80


def test_the_celery_producers_job_is_known(environment: dict[str, str], tmp_path: Path) -> None:
    """The id that the producer prints is the id of a job that completes."""
    script = next(block for block in blocks("python") if "send_task" in block)
    job_id = run([sys.executable, "-c", script], environment, tmp_path).strip()
    with Client(environment["LATENTMILL_URL"]) as client:
        job = eventually(lambda: client.job(job_id))
        assert client.wait(job, timeout_s=30).progress.samples_done == 500


def eventually(look: Callable[[], Job]) -> Job:
    """The promise to a producer begins when the job is known."""
    for _ in range(100):
        try:
            return look()
        except UnknownJob:
            time.sleep(0.1)
    return look()


def console_lines() -> list[str]:
    lines = [
        line.partition("#")[0].strip() for block in blocks("console") for line in block.split("\n")
    ]
    return [line for line in lines if line]


@pytest.mark.parametrize("line", console_lines())
def test_a_console_line_names_what_is_there(line: str) -> None:
    """What would take minutes or a Docker engine is checked for its target, its profile, its files."""
    words = line.split()
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        return
    assert words[:2] == ["docker", "compose"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    asked = {words[at + 1] for at, word in enumerate(words) if word == "--profile"}
    assert asked <= profiles


@pytest.mark.parametrize("role", [ApiSettings, WorkerSettings, SweepSettings, ClientSettings])
def test_every_setting_is_in_the_readme(role: type[Settings]) -> None:
    """With its description, word for word."""
    for name, field in role.model_fields.items():
        assert f"`LATENTMILL_{name.upper()}`" in README
        assert field.description is not None
        assert field.description in README


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_file_is_there(page: str) -> None:
    """Pictures and pages that a page points to."""
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []
    assert links or page != "README.md"
