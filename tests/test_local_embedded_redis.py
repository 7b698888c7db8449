"""The embedded Redis keeps its data, refuses strangers and never shows its password."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from service.contract.errors import StartRefused
from service.contract.settings import child_environment
from service.local import embedded_redis
from service.local.child import Child, Run
from service.local.embedded_redis import EmbeddedRedis, find_server, server_version
from tests.fixtures.processes import eventually


def start(server: EmbeddedRedis, log: Path) -> Run:
    environment = child_environment()
    run = Run(
        Child(
            "redis",
            (str(server.binary), "-"),
            log,
            environment,
            server.configuration,
            server.folder,
        )
    )
    assert eventually(server.answers, within_s=10)
    return run


def stop(run: Run) -> None:
    run.signal(signal.SIGTERM)
    assert run.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedRedis:
    folder = tmp_path / "a folder with 'quotes\" in it"
    folder.mkdir()
    return EmbeddedRedis(find_server(), folder)


@pytest.fixture
def run(server: EmbeddedRedis, tmp_path: Path) -> Iterator[Run]:
    run = start(server, tmp_path / "redis.log")
    yield run
    stop(run)


def test_the_server_is_configured_for_a_broker(server: EmbeddedRedis, run: Run) -> None:
    """Append-only file synced every second, nothing evicted, no snapshots, loopback only."""
    with redis.Redis.from_url(server.url) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }
        assert client.config_get(*wanted) == wanted


def test_the_password_is_asked_for_and_shown_nowhere(server: EmbeddedRedis, run: Run) -> None:
    """Without it nothing is served; it is neither on the command line nor in a file nor in repr."""
    with socket.create_connection(("127.0.0.1", server.port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")
    assert server.password not in " ".join(psutil.Process(run.pid).cmdline())
    assert server.password not in repr(server)
    files = [path for path in server.folder.parent.rglob("*") if path.is_file()]
    assert files
    assert not any(server.password.encode() in path.read_bytes() for path in files)


def test_data_survives_a_restart(server: EmbeddedRedis, tmp_path: Path) -> None:
    """What was written before a stop is there after it, under another password and port."""
    run = start(server, tmp_path / "redis.log")
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    stop(run)
    successor = EmbeddedRedis(server.binary, server.folder)
    run = start(successor, tmp_path / "redis.log")
    with redis.Redis.from_url(successor.url) as client:
        assert client.get("kept") == b"yes"
    stop(run)


def fake_server(folder: Path, name: str, told: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{told}'\n")
    path.chmod(0o755)
    return path


def test_a_server_on_the_path_is_taken_if_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """valkey-server is asked before redis-server, and one below 6.2 is passed over."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    modern = fake_server(
        tmp_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1"
    )
    assert find_server() == modern
    older = fake_server(tmp_path, "valkey-server", "Redis server v=6.0.16 sha=00000000:0")
    assert server_version(older) == (6, 0)
    assert find_server() == modern
    newer = fake_server(tmp_path, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0")
    assert find_server() == newer


def test_without_any_server_the_three_ways_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra, the PATH and the variable."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "find_spec", lambda name: None)
    with pytest.raises(StartRefused) as refused:
        find_server()
    for way in ("latentmill[local]", "PATH", "LATENTMILL_REDIS_URL"):
        assert way in refused.value.detail
