"""Each role is a user of Redis that may do what the role does, and nothing else: `deploy/redis/users.acl`."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from service.adapters.queue import BULK, GENERATE, SMALL
from service.contract.job import Status
from tests.fixtures.fleet import QUICK
from tests.fixtures.guarded_redis import DEPLOYED, ROLES, GuardedFleet, GuardedRedis

each_role = pytest.mark.parametrize("role", ROLES)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    server = GuardedRedis(tmp_path_factory.mktemp("guarded"))
    server.start()
    yield server
    server.kill()


def users() -> dict[str, str]:
    """The rules by user, each on one line."""
    text = re.sub(r"^#.*\n", "", (DEPLOYED / "users.acl").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", "").splitlines()
    return {line.split()[1]: line for line in lines if line}


def test_a_job_runs_with_each_role_as_its_own_user(tmp_path: Path) -> None:
    """Over HTTP and from a queue, with a repair and a cancel; no role asks for what it may not do."""
    fleet = GuardedFleet(tmp_path, **QUICK)
    try:
        fleet.start(api=1, worker=1, sweep=1)
        job = fleet.wait(fleet.submit())
        assert job.status == Status.COMPLETED
        fleet.shard_files(job)[0].unlink()
        fleet.http.post(f"/v1/jobs/{job.id}/repair").raise_for_status()
        assert fleet.wait(fleet.submit(count=10)).status == Status.COMPLETED
        large = fleet.submit(decoder="large", compression="small", count=60_000)
        fleet.http.post(f"/v1/jobs/{large.id}/cancel").raise_for_status()
        assert fleet.wait(large).status == Status.CANCELLED
        assert fleet.http.get("/v1/images/tiny/3/42/0.png").status_code == 200
        assert fleet.http.get("/readyz").status_code == 200
        assert fleet.http.get("/metrics").status_code == 200
        assert "NOPERM" not in fleet.logs()
    finally:
        fleet.stop()


#: Administration, looking around, and everybody else's keys and channels.
NOBODYS = (
    *("FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET *", "CONFIG SET maxmemory 1"),
    *("ACL LIST", "CLIENT LIST", "CLIENT KILL TYPE normal", "SHUTDOWN", "SAVE"),
    *("REPLICAOF NO ONE", "MONITOR", "SCRIPT FLUSH", "FUNCTION LIST", "MODULE LIST", "SWAPDB 0 1"),
    *("GET foreign", "SET foreign 1", "DEL foreign", "RESTORE lm:x 0 x", "MIGRATE h 1 k 0 1"),
    *("PUBLISH foreign x", "SUBSCRIBE foreign", "PUBLISH /0.celery.pidbox x"),
)
#: What takes tasks, or swallows them.
TAKING = (
    "BRPOP {} 1",
    "BLPOP {} 1",
    "RPOP {}",
    "LPOP {}",
    "LRANGE {} 0 -1",
    "LMOVE {} lm:x LEFT LEFT",
    "DEL {}",
)


def refused(guarded: GuardedRedis, user: str, command: str) -> bool:
    with guarded.client(user) as client:
        try:
            client.execute_command(*command.split())
        except NoPermissionError:
            return True
    return False


@each_role
def test_what_no_role_does_is_refused(guarded: GuardedRedis, role: str) -> None:
    """A stolen password opens neither the server nor what others keep there."""
    assert [command for command in NOBODYS if not refused(guarded, role, command)] == []


@pytest.mark.parametrize("role", ["api", "sweep"])
def test_who_sends_tasks_takes_none(guarded: GuardedRedis, role: str) -> None:
    """And reads none, and cannot empty a queue."""
    taking = [command.format(queue) for command in TAKING for queue in (SMALL, GENERATE, BULK)]
    assert [command for command in taking if not refused(guarded, role, command)] == []
    assert not refused(guarded, role, f"LLEN {SMALL}")


@each_role
def test_a_script_may_do_no_more_than_its_caller(guarded: GuardedRedis, role: str) -> None:
    """EVAL is no way around the rules."""
    with guarded.client(role) as client:
        for call in ("'FLUSHALL'", "'GET', 'foreign'", "'KEYS', '*'"):
            with pytest.raises(redis.ResponseError, match=r"(?i)acl|permission"):
                client.eval(f"return redis.call({call})", 0)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_nobody_else_comes_in(guarded: GuardedRedis, password: str | None) -> None:
    """There is no default user; the health check's reads nothing."""
    with (
        redis.Redis(port=guarded.port, password=password, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    with guarded.client("health") as client, pytest.raises(NoPermissionError):
        client.get("lm:boot")


#: What redis-py calls otherwise than Redis, and what it calls nothing.
SPELT = {"delete": "del", "eval": "evalsha", "pipeline": "multi", "execute": "exec"}


@each_role
def test_every_command_of_the_ledger_is_allowed(role: str) -> None:
    """Also those that only a rare path comes to, in its scripts and outside of them."""
    adapters = files("service.adapters")
    scripts = [
        file.read_text() for file in (adapters / "lua").iterdir() if file.name.endswith(".lua")
    ]
    called = {
        name.lower() for text in scripts for name in re.findall(r"redis\.p?call\('(\w+)'", text)
    }
    rooms = [file.read_text() for file in adapters.iterdir() if file.name.endswith(".py")]
    direct = [name for text in rooms for name in re.findall(r"\b_redis\.(\w+)\(", text)]
    direct += re.findall(r"\bpipe\.(\w+)\(", (adapters / "ledger.py").read_text())
    called |= {SPELT.get(name, name) for name in direct}
    # Before the bracket stand the ledger's rules; in it, those of the queues.
    rules = users()[role].partition("(")[0].split()
    assert len(called) > 20
    assert called <= {word[1:] for word in rules if word.startswith("+")}


def test_passwords_are_kept_as_hashes(guarded: GuardedRedis) -> None:
    """The file that the server reads tells no password, and only its owner may read it."""
    written = guarded.folder / "users.acl"
    assert written.stat().st_mode & 0o077 == 0
    assert not any(
        guarded.url(role).split("@")[0].rpartition(":")[2] in written.read_text() for role in ROLES
    )
