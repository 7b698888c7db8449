"""What is deployed: compose file, images and locks say what the code and the promises need."""

import os
import re
import resource
import runpy
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from service.adapters.storage import exists, open_storage
from service.contract import layout
from service.contract.settings import (
    ApiSettings,
    Settings,
    SweepSettings,
    WorkerSettings,
    child_environment,
)
from tests.fixtures.api import Api
from tests.fixtures.redis import free_port
from tests.fixtures.s3 import S3Server
from workers.sign import Sign

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
LOCKS = ROOT / "deploy" / "locks"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GENERATE = runpy.run_path(str(LOCKS / "generate"))

#: Services that run an image of ours, and the target it is built from.
ROLES = {"api": "api", "sweep": "sweep", "worker": "worker-cpu", "worker-gpu": "worker-gpu"}
TARGETS = ("api", "sweep", "worker-cpu", "worker-gpu")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
def test_every_service_is_hardened(service: dict[str, Any]) -> None:
    """Read-only root, a scratch /tmp, no capabilities nor a way to gain any, limits, and somebody to reap."""
    assert service["read_only"] is True
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert 0 < service["pids_limit"] <= 4096
    assert re.fullmatch(
        r"[1-9][0-9]?g|\$\{LATENTMILL_WORKER_(GPU_)?MEMORY:-[1-9][0-9]?g\}", service["mem_limit"]
    )
    assert "cap_add" not in service
    assert "privileged" not in service


@each_service
def test_no_service_runs_as_root(service: dict[str, Any]) -> None:
    """User and group are numbers other than 0, so that the kernel can tell too."""
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0


@each_service
def test_every_service_ends_in_its_own_time_and_comes_back(service: dict[str, Any]) -> None:
    """Who holds a shard or a log is given the time to finish it; who dies is started again."""
    assert re.fullmatch(r"[1-9][0-9]s", service["stop_grace_period"])
    assert service["restart"] in ("unless-stopped", "on-failure:5")


@each_service
def test_only_loopback_is_published(service: dict[str, Any]) -> None:
    """Without API keys nobody but this machine may reach a port."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each_service
def test_settings_in_the_environment_exist(service: dict[str, Any]) -> None:
    """A misspelt LATENTMILL_ variable would be ignored in silence."""
    fields = {*ApiSettings.model_fields, *WorkerSettings.model_fields, *SweepSettings.model_fields}
    given = {name for name in service.get("environment", {}) if name.startswith("LATENTMILL_")}
    assert given <= {f"LATENTMILL_{field.upper()}" for field in fields}


def test_redis_keeps_what_it_is_given() -> None:
    """An append-only file every second, no eviction, a user for each role, and no network but the inner one."""
    service = SERVICES["redis"]
    start, *words = service["command"]
    assert words[:3] == ["/opt/latentmill/users.acl", "/tmp/users.acl", "valkey-server"]
    assert os.access(ROOT / "deploy" / "redis" / Path(start).name, os.X_OK)
    words = words[3:]
    flags = dict(zip(words[::2], words[1::2], strict=True))
    assert flags["--appendonly"] == "yes"
    assert flags["--appendfsync"] == "everysec"
    assert flags["--maxmemory-policy"] == "noeviction"
    assert service["volumes"] == ["redis:/data", "./deploy/redis:/opt/latentmill:ro"]
    assert service["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert "ports" not in service


def test_passwords_come_from_the_environment_and_agree() -> None:
    """Redis and the store are given what the roles present."""
    settings = SERVICES["worker"]["environment"]
    for role in ROLES:
        user = role.partition("-")[0]
        password = SERVICES["redis"]["environment"][f"REDIS_{user.upper()}_PASSWORD"]
        url = SERVICES[role]["environment"]["LATENTMILL_REDIS_URL"]
        assert url == f"redis://{user}:{password}@redis:6379/0"
    store = SERVICES["seaweedfs"]["environment"]
    assert store["AWS_ACCESS_KEY_ID"] == settings["LATENTMILL_S3_ACCESS_KEY_ID"]
    assert store["AWS_SECRET_ACCESS_KEY"] == settings["LATENTMILL_S3_SECRET_ACCESS_KEY"]
    examples = (ROOT / "deploy" / ".env.example").read_text()
    used = set(re.findall(r"\$\{([A-Z0-9_]+):-", (ROOT / "docker-compose.yml").read_text()))
    assert used == set(re.findall(r"^#([A-Z0-9_]+)=", examples, re.MULTILINE))


@pytest.mark.parametrize("role", ROLES)
def test_roles_wait_for_what_they_need(role: str) -> None:
    """Redis and the store answer, bucket and decoder are there, before a role starts."""
    assert SERVICES[role]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "seaweedfs": {"condition": "service_healthy"},
        "prepare": {"condition": "service_completed_successfully"},
    }
    assert all("healthcheck" in SERVICES[name] for name in ("redis", "seaweedfs"))


def test_the_gpu_is_reserved_in_the_compose_form() -> None:
    """Only with `--profile gpu`, one NVIDIA device, and a worker that refuses to run on the CPU."""
    service = SERVICES["worker-gpu"]
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert service["profiles"] == ["gpu"]
    assert service["environment"]["LATENTMILL_DEVICE"] == "cuda"
    assert not any("profiles" in SERVICES[name] for name in SERVICES if name != "worker-gpu")


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_an_image(role: str) -> None:
    """Compose builds targets that exist, each under its own name."""
    service = SERVICES[role]
    assert service["image"] == f"latentmill/{ROLES[role]}"
    build = service.get("build") or SERVICES["prepare"]["build"]
    assert build["target"] == ROLES[role]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert ROLES[role] in stages()


@pytest.mark.parametrize("target", TARGETS)
def test_every_image_checks_its_own_health(target: str) -> None:
    """The check is named after the role that the image runs."""
    role = target.partition("-")[0]
    assert f'CMD ["python", "-IS", "/opt/latentmill/healthy.py", "{role}"]' in stages()[target]
    assert "LATENTMILL_HEARTBEAT_FILE=/tmp/" in stages()["role"]
    assert f'CMD ["{role}"]' in stages()[target]


def test_images_start_the_command_line_as_nobody() -> None:
    """The entry point gets the signals itself, and the user has a number."""
    role = stages()["role"]
    assert 'ENTRYPOINT ["latentmill"]' in role
    assert "USER 10001:10001" in role
    assert all(SERVICES[name]["user"] == "10001:10001" for name in [*ROLES, "prepare"])


def test_the_dockerfile_builds_without_a_front_end_image() -> None:
    """A `# syntax` line would have to be pulled before anything can be built offline."""
    assert not re.search(r"^#\s*syntax", DOCKERFILE, re.MULTILINE)
    assert "ARG BASE=python:3.11-slim-bookworm" in DOCKERFILE
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {
        *("${BASE}", "empty-venv", "role"),
    }


def test_the_build_context_holds_what_is_copied() -> None:
    """.dockerignore lets through what the Dockerfile copies, and leaves the rest at home."""
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source for line in copies for source in line.split()}
    assert all((ROOT / source).exists() for source in copied)
    assert all(
        any(source == kept or source.startswith(kept + "/") for kept in let_through)
        for source in copied
    )


def lock(role: str) -> dict[str, Version]:
    lines = (LOCKS / f"{role}.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {name: Version(version) for name, version in pins}


@pytest.mark.parametrize("role", GENERATE["EXTRAS"])
def test_locks_keep_the_bounds(role: str) -> None:
    """Everything that pyproject.toml asks of a role is locked, within the bounds it gives."""
    locked, spared = lock(role), GENERATE["SPARED"].get(role, set())
    for line in GENERATE["requirements"](GENERATE["EXTRAS"][role]):
        wanted = Requirement(line)
        name = GENERATE["normal"](wanted.name)
        assert (name in locked) is (name not in spared), line
        assert name in spared or locked[name] in wanted.specifier, line


@pytest.mark.parametrize("role", ["api", "sweep", "worker-cpu", "worker-gpu"])
def test_no_image_holds_what_its_role_must_start_without(role: str) -> None:
    """No torch and no onnx at run time; ONNX Runtime, of one kind, only where images are drawn."""
    locked = lock(role)
    assert not {"torch", "onnx", "onnxscript", "pytest"} & set(locked)
    runtimes = {name for name in locked if name.startswith("onnxruntime")}
    expected = {"worker-cpu": {"onnxruntime"}, "worker-gpu": {"onnxruntime-gpu"}}
    assert runtimes == expected.get(role, set())
    assert ("numpy" in locked) is role.startswith("worker")


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    """`make test-lowest` tests what pyproject.toml promises today."""
    lines = (LOCKS / "lowest.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == GENERATE["lowest"]()


def ask_health(role: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-IS", DOCKER / "healthy.py", role],
        env=child_environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("role", ["api", "worker", "sweep"])
def test_health_says_no_when_it_means_no(role: str, tmp_path: Path) -> None:
    """A container in which nothing works is not called healthy, and the reason is one line."""
    asked = ask_health(role, port=free_port(), heartbeat_file=tmp_path / "none")
    assert asked.returncode == 1
    assert len(asked.stderr.splitlines()) == 1


@pytest.mark.parametrize(("age_s", "healthy"), [(0, True), (20, True), (40, False), (-60, False)])
def test_health_is_a_recent_sign_of_life(age_s: float, healthy: bool, tmp_path: Path) -> None:
    """An old sign is none, nor is one from before the machine started, whose clock had run further."""
    beat = tmp_path / "beat"
    beat.write_text(f"{time.monotonic() - age_s}\n")
    assert (ask_health("worker", heartbeat_file=beat).returncode == 0) is healthy
    assert ask_health("sweep", heartbeat_file=beat).returncode == (0 if age_s >= 0 else 1)


def test_a_health_check_costs_next_to_nothing(lasting: Api, tmp_path: Path) -> None:
    """It runs every few seconds beside a worker that needs every core: less than 0.1 s of processor time."""
    Sign(tmp_path / "beat").give()
    for role in ("worker", "api"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        asked = ask_health(role, port=lasting.settings.port, heartbeat_file=tmp_path / "beat")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert asked.returncode == 0, asked.stderr
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.1


def test_a_worker_hands_its_shards_back_before_it_is_killed() -> None:
    """The grace that a worker gives itself ends before the container's."""
    for service in (SERVICES["worker"], SERVICES["worker-gpu"]):
        grace_s = float(service["environment"]["LATENTMILL_GRACE_S"])
        assert grace_s + 5 <= float(service["stop_grace_period"].rstrip("s"))


@pytest.mark.s3
def test_preparing_twice_is_harmless(moto_server: S3Server) -> None:
    """The first run makes the bucket and publishes the bundled decoder, the second finds both."""
    place = moto_server.place(f"prepared-{uuid.uuid4().hex}")
    told = [
        subprocess.run(
            [sys.executable, DOCKER / "prepare.py"],
            env=child_environment(**place),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for _ in range(2)
    ]
    assert told == [
        "published the bundled decoder\n",
        "a decoder of that name is published already\n",
    ]
    storage = open_storage(Settings.model_validate(place))
    assert exists(storage, layout.decoder_current("mnist"))
