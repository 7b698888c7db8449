"""What the images hold is written down, and asked about."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOCKS = Path(__file__).parent.parent / "deploy" / "locks"
ROLES = ("api", "sweep", "worker-cpu", "worker-gpu")


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    subprocess.run([sys.executable, LOCKS / "sbom", "--to", folder], check=True)
    return folder


@pytest.mark.parametrize("role", ROLES)
def test_the_bill_lists_every_locked_package(bills: Path, role: str) -> None:
    """By name, version and package URL, and nothing beside."""
    bill = json.loads((bills / f"{role}.cdx.json").read_text())
    lines = (LOCKS / f"{role}.txt").read_text().splitlines()
    locked = {line for line in lines if line and not line.startswith("#")}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {f"{part['name']}=={part['version']}" for part in bill["components"]} == locked
    assert all(
        part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}" for part in bill["components"]
    )
    assert bill["metadata"]["component"]["name"] == "latentmill"


def audited(tmp_path: Path, told: str) -> subprocess.CompletedProcess[str]:
    """`audit` of one lock by a program that says this, as pip-audit would."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\nexit 1\n")
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, LOCKS / "audit", program, "api"], capture_output=True, text=True
    )


def package(**more: Any) -> str:
    return json.dumps({"dependencies": [{"name": "amqp", "version": "5.4.2"} | more]})


def test_a_known_vulnerability_fails_the_audit(tmp_path: Path) -> None:
    """With its name and the version that mends it."""
    told = audited(tmp_path, package(vulns=[{"id": "PYSEC-1", "fix_versions": ["5.4.3"]}]))
    assert told.returncode == 1
    assert "api: amqp 5.4.2: PYSEC-1, mended in 5.4.3" in told.stdout


@pytest.mark.parametrize("answer", ["", package(skip_reason="not found on PyPI")])
def test_what_could_not_be_checked_is_said(tmp_path: Path, answer: str) -> None:
    """Without advisories the audit passes, and a line says that nothing was checked."""
    told = audited(tmp_path, answer)
    assert told.returncode == 0
    assert "api: NOT CHECKED" in told.stdout


def test_nothing_known_passes(tmp_path: Path) -> None:
    """Every package is counted."""
    told = audited(tmp_path, package(vulns=[]))
    assert (told.returncode, told.stdout) == (0, "api: 1 checked, 0 vulnerabilities\n")
