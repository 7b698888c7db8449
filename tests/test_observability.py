"""What operators are given to watch a service: rules, and a page, that speak of what there is."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from service.cli.main import app
from tests.fixtures.api import Api
from tests.fixtures.imports import ROOT
from tests.fixtures.metrics import parsed

FOLDER = ROOT / "deploy" / "observability"
PAGE = (ROOT / "deploy" / "OBSERVABILITY.md").read_text()
GROUPS: list[Any] = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]

#: A recorded name has colons, a metric has none; a histogram is spelt with what each of its series is.
METRIC = re.compile(r"\blatentmill_[a-z_]+\b(?![:.])")
SERIES_OF = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture
def told(api: Api) -> set[str]:
    """Names of all metrics of a service that has work, a worker and an answered request."""
    api.completed(count=10)
    api.accepted(seed=1)
    api.parts.ledger.heartbeat("worker", slots=3, info='{"cores": 2}', ttl_s=60)
    api.parts.ledger.audits.note("differed")
    metrics = parsed(api.http.get("/metrics"))
    return {SERIES_OF.sub("", name.partition("{")[0]) for name in metrics}


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        assert "CI" not in os.environ, "apt-get install prometheus"
        pytest.skip("promtool is not installed")
    return found


def test_rules_and_page_name_what_is_told(told: set[str]) -> None:
    """Nobody is woken, or left asleep, by a metric that does not exist; and none is left out of the page."""
    named = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    assert len(named) > 10
    assert {SERIES_OF.sub("", name) for name in named} <= told
    assert set(METRIC.findall(PAGE)) == told


def test_every_alert_has_a_place_in_the_page() -> None:
    """With what it means and three things to do, and no other alert has."""
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert set(sections) == {rule["alert"] for rule in ALERTS}
    for name, text in sections.items():
        assert len(re.findall(r"^[123]\. ", text, re.MULTILINE)) == 3, name


def test_the_page_names_recorded_rules_and_logged_events() -> None:
    """As they are spelt in the rules and in the code."""
    assert set(re.findall(r"`(latentmill:[a-z0-9_:]+)`", PAGE)) <= {
        rule.get("record") for rule in RULES
    }
    code = "".join(
        path.read_text()
        for folder in ("service", "workers")
        for path in (ROOT / folder).rglob("*.py")
    )
    events = set(re.findall(r"`((?:\w+_)+(?:rebuilt|quarantined|stuck|failed|differs))`", PAGE))
    assert len(events) >= 4
    for event in events:
        assert f'"{event}"' in code, event


def test_every_command_of_the_page_exists() -> None:
    """With its options: whoever is woken at night types them as they stand there."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = re.findall(r"latentmill ([a-z-]+)((?: [^`]*)?)`", PAGE)
    assert len(found) > 8
    for name, rest in found:
        known = {option for param in commands[name].params for option in param.opts}
        given = set(re.findall(r"--[a-z-]+", rest))
        assert given <= known, name


def test_the_rules_do_what_they_say() -> None:
    """Prometheus's own tool runs them over series: each alert is raised when it should be, and not before."""
    done = subprocess.run(
        [promtool(), "test", "rules", "rules_test.yml"], cwd=FOLDER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    """Raised once at least, and once held against a service that works."""
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    tried = [case for test in tests for case in test.get("alert_rule_test", [])]
    names = {rule["alert"] for rule in ALERTS}
    assert {case["alertname"] for case in tried if "exp_alerts" in case} == names
    assert {case["alertname"] for case in tests[0]["alert_rule_test"]} == names


@pytest.mark.parametrize("file", ["rules.yml", "prometheus.yml"])
def test_prometheus_takes_the_files(file: str, tmp_path: Path) -> None:
    """As they lie there."""
    what = ("check", "rules") if file == "rules.yml" else ("check", "config")
    shutil.copytree(FOLDER, tmp_path / "etc")
    done = subprocess.run(
        [promtool(), *what, file], cwd=tmp_path / "etc", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
