"""The one-machine stack: what it says when it cannot start, and that nothing is left then."""

from pathlib import Path

import psutil
import pytest

from service.contract.errors import ChildDied, StartRefused, UnknownDecoder
from service.contract.settings import ApiSettings
from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, running
from service.local.up import plan_of
from tests.fixtures.processes import eventually
from tests.fixtures.stack import publish_tiny


def plan(folder: Path, **fields: object) -> Plan:
    fields = {"prepare": publish_tiny, "workers": 1} | fields
    return Plan(DataDir(folder), "127.0.0.1", free_port(), **fields)  # type: ignore[arg-type]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_damaged_redis_files_are_told_with_a_cure(tmp_path: Path) -> None:
    """A log that Redis refuses ends the start with its words and with what may be deleted."""
    log = tmp_path / "redis" / "appendonlydir"
    log.mkdir(parents=True)
    (log / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    (log / "appendonly.aof.1.incr.aof").write_text("no such command\r\n" * 9)
    with pytest.raises(ChildDied) as died, running(plan(tmp_path)):
        pass
    assert "Bad file format" in died.value.detail
    assert f"delete {tmp_path / 'redis'}" in died.value.detail


def test_a_role_that_dies_at_start_ends_the_start(tmp_path: Path) -> None:
    """A setting that a child refuses is told at once in its words, and every process is gone."""
    before, wrong = children(), plan(tmp_path, settings={"max_body_bytes": 1})
    with pytest.raises(ChildDied, match="LATENTMILL_MAX_BODY_BYTES"), running(wrong):
        pass
    assert eventually(lambda: children() <= before, within_s=1)


def test_a_decoder_that_cannot_be_published_ends_the_start(tmp_path: Path) -> None:
    """What `prepare` refuses stops the Redis that was already running."""

    before = children()

    def refuse(_: object) -> None:
        assert children() > before
        raise UnknownDecoder

    with pytest.raises(UnknownDecoder), running(plan(tmp_path, prepare=refuse)):
        pass
    assert eventually(lambda: children() <= before, within_s=1)


def test_a_plan_takes_what_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis and storage are the stack's own only where the environment names none."""
    for name in ("LATENTMILL_REDIS_URL", "LATENTMILL_STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)
    own = plan_of(ApiSettings(port=0), tmp_path, 3)
    assert (own.redis_url, own.storage_url, own.workers) == (None, None, 3)
    monkeypatch.setenv("LATENTMILL_REDIS_URL", "rediss://there/1")
    monkeypatch.setenv("LATENTMILL_STORAGE_URL", "s3://bucket")
    named = plan_of(ApiSettings(port=0), tmp_path, None)
    assert (named.redis_url, named.storage_url) == ("rediss://there/1", "s3://bucket")
    assert named.workers >= 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_url_is_one_that_can_be_opened(tmp_path: Path, host: str, url: str) -> None:
    """Whatever the API listens on, the printed address is one a browser on this machine reaches."""
    assert Plan(DataDir(tmp_path), host, 80, 1).url == url


def test_a_host_that_is_none_is_refused(tmp_path: Path) -> None:
    """A name that does not resolve is told before anything starts."""
    with pytest.raises(StartRefused, match="--host"):
        plan_of(ApiSettings(host="no-such-host.invalid"), tmp_path, 1)
