"""docker-compose.yml as an operator runs it, under a name of its own and on ports of its own."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.fixtures.imports import ROOT

PROJECT = "latentmill-test"
FILES = ("docker-compose.yml", "tests/compose/docker-compose.test.yml")
#: A range, so that a second API finds a port.
API_PORTS, S3_PORT = "18000-18001", 18333
#: Building is pip's time; starting is not.
BUILD_S, START_S = 1800, 180


@dataclass(frozen=True)
class Compose:
    """Commands on the running stack; each raises AssertionError with what it printed."""

    def __call__(self, *arguments: str, timeout_s: float = START_S) -> str:
        files = [word for file in FILES for word in ("-f", file)]
        return _run("docker", "compose", "-p", PROJECT, *files, *arguments, timeout_s=timeout_s)

    def containers(self, service: str) -> list[Any]:
        """What `docker inspect` tells of each that runs."""
        ids = self("ps", "-q", service).split()
        return list(json.loads(_run("docker", "inspect", *ids))) if ids else []

    def urls(self) -> list[str]:
        """Where each API is published: the engine chooses a port of the range for it."""
        published = [
            each["NetworkSettings"]["Ports"]["8000/tcp"][0] for each in self.containers("api")
        ]
        return [f"http://{port['HostIp']}:{port['HostPort']}" for port in published]

    def kill(self, service: str) -> str:
        """SIGKILL to one container; its id."""
        victim = self.containers(service)[0]["Id"]
        _run("docker", "kill", "-s", "KILL", victim)
        return str(victim)

    def lose_volume(self, service: str, volume: str) -> None:
        """At once, the container and all that it had stored, as if the machine had gone with its disk."""
        self.kill(service)
        self("rm", "--force", service)
        _run("docker", "volume", "rm", f"{PROJECT}_{volume}")


def _run(*words: str, timeout_s: float = START_S) -> str:
    environment = os.environ | {
        "LATENTMILL_PORT": API_PORTS,
        "LATENTMILL_S3_PORT": str(S3_PORT),
    }
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def engine_answers() -> bool:
    try:
        _run("docker", "version", timeout_s=10)
    except (AssertionError, OSError, subprocess.SubprocessError):
        return False
    return True


@contextmanager
def stack() -> Iterator[Compose]:
    """Built, up and healthy; gone with its volumes at the end."""
    compose = Compose()
    compose("down", "--volumes", "--remove-orphans")
    tell("images built", lambda: compose("build", timeout_s=BUILD_S))
    try:
        tell(
            "stack up and healthy",
            lambda: compose("up", "--detach", "--wait", "--scale", "worker=2"),
        )
        yield compose
    except BaseException:
        print(compose("logs", "--tail", "40", "--no-color"))
        raise
    finally:
        compose("down", "--volumes", "--remove-orphans")


def tell(what: str, act: Any) -> Any:
    """Do it, and say how long it took: the figures are what this is run for."""
    started = time.monotonic()
    done = act()
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)
    return done
