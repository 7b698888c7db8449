"""Everything of Latentmill on one machine: Redis, API, sweep and workers under one supervisor."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from export.publish import publish_bundled
from service.adapters.ledger import Ledger
from service.adapters.redis_client import connect
from service.adapters.storage import Storage, open_storage
from service.contract.errors import ChildDied, LedgerUnavailable, StartRefused
from service.contract.settings import Settings, child_environment, load_settings
from service.local import interrupt
from service.local.child import Child
from service.local.data_dir import DataDir, tell_holder, write_private
from service.local.embedded_redis import EmbeddedRedis, find_server
from service.local.supervisor import Supervisor

_REDIS_START_S, _READY_S, _LOOK_S = 30.0, 60.0, 0.1
#: A first start compiles, which takes half a minute on a slow core.
_WORKERS_S = 300.0
_API, _SWEEP, _WORKER, _REDIS = range(4)  # the order of stopping: nothing loses what it writes to


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Plan:
    """What to run. Without a `redis_url` the stack brings its own server.

    `settings` go to every child; `prepare` is given the storage before the API starts, to publish a
    decoder.
    """

    data_dir: DataDir
    host: str
    port: int
    workers: int
    redis_url: str | None = field(default=None, repr=False)
    storage_url: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    prepare: Callable[[Storage], object] = publish_bundled

    @property
    def url(self) -> str:
        """Where the API answers; a stack that listens everywhere is reached on loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"


@contextmanager
def running(plan: Plan) -> Iterator["Stack"]:
    """The stack, ready when it is yielded; stopped to the last process when the block ends.

    Raises StartRefused or ChildDied when it cannot start.
    """
    with ExitStack() as parts:
        lock = parts.enter_context(plan.data_dir.locked())
        stack = Stack(plan, lock)
        parts.callback(stack.stop)
        stack.start()
        tell_holder(lock, f"process {os.getpid()}, {plan.url}")
        yield stack


class Stack:
    """A plan carried out: `start`, then `wait` or work with `url`, then `stop`."""

    def __init__(self, plan: Plan, lock: int) -> None:
        self.plan, self.url = plan, plan.url
        self.supervisor = Supervisor()
        self._lock, self._stopping = lock, threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.settings = dict(plan.settings)

    def start(self) -> None:
        """Start everything and return when the API accepts jobs and every worker takes them."""
        self.settings["redis_url"] = self.plan.redis_url or self._start_redis()
        self.settings["storage_url"] = self.plan.storage_url or self.plan.data_dir.objects.as_uri()
        write_private(self.plan.data_dir.broker_url, str(self.settings["redis_url"]) + "\n")
        self.plan.prepare(open_storage(load_settings(Settings, **self.settings)))
        for child in self._roles():
            self.supervisor.start(child)
        self._await_ready()
        self._watcher.start()

    def wait(self) -> None:
        """Return never, unless interrupted. Raises ChildDied when a child keeps dying."""
        while self.supervisor.failure is None:
            interrupt.check()
            time.sleep(_LOOK_S)
        raise ChildDied(self.supervisor.failure)

    def stop(self) -> None:
        """Stop all processes in order. Idempotent."""
        try:
            self.supervisor.stop()
        finally:
            # The watcher goes last: Linux ends the children of a thread together with it.
            self._stopping.set()
            self.plan.data_dir.broker_url.unlink(missing_ok=True)
        if self._watcher.is_alive():
            self._watcher.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.supervisor.watch()

    def _start_redis(self) -> str:
        server = EmbeddedRedis(find_server(), self.plan.data_dir.redis)
        self.supervisor.start(
            Child(
                name="redis",
                command=(str(server.binary), "-"),
                log=self._log("redis"),
                environment=child_environment(),
                stdin=server.configuration,
                folder=server.folder,
                # SIGTERM lets it write its log to disk; it keeps the lock until it has.
                orphan_signal=signal.SIGTERM,
                keeps_open=(self._lock,),
                stop_rank=_REDIS,
                grace_s=10.0,
            )
        )
        try:
            self._await(server.answers, _REDIS_START_S, "the embedded Redis")
        except ChildDied as error:
            raise ChildDied(
                f"{error.detail}. If its files are damaged, delete {server.folder}: "
                "jobs are rebuilt from storage"
            ) from error
        return server.url

    def _roles(self) -> Iterator[Child]:
        yield self._role("sweep", "sweep", stop_rank=_SWEEP)
        for number in range(1, self.plan.workers + 1):
            yield self._role(f"worker-{number}", "worker", stop_rank=_WORKER, grace_s=10.0)
        yield self._role("api", "api", stop_rank=_API)

    def _role(self, name: str, role: str, *, stop_rank: int, grace_s: float = 5.0) -> Child:
        return Child(
            name=name,
            # -P: a folder named `service` where the user happens to be is not ours.
            command=(sys.executable, "-P", "-m", "service.cli.main", role),
            log=self._log(name),
            environment=child_environment(
                # So that a worker hands its shards back before its time is over.
                **{"grace_s": 0.7 * grace_s, **self.settings},
                host=self.plan.host,
                port=self.plan.port,
            ),
            stop_rank=stop_rank,
            grace_s=grace_s,
        )

    def _log(self, name: str) -> Path:
        return self.plan.data_dir.logs / f"{name}.log"

    def _await_ready(self) -> None:
        with httpx.Client(base_url=self.url, timeout=2.0, trust_env=False) as http:
            self._await(lambda: _is_ready(http), _READY_S, f"the API at {self.url}")
        ledger = Ledger(connect(load_settings(Settings, **self.settings)))
        everyone = f"{self.plan.workers} workers"
        self._await(lambda: _workers(ledger) >= self.plan.workers, _WORKERS_S, everyone)

    def _await(self, is_there: Callable[[], bool], patience_s: float, what: str) -> None:
        deadline = time.monotonic() + patience_s
        while not is_there():
            interrupt.check()
            self.supervisor.check_alive()
            if time.monotonic() > deadline:
                raise StartRefused(
                    f"{what} did not get ready in {patience_s:.0f} s; see {self.plan.data_dir.logs}"
                )
            time.sleep(0.02)


def _workers(ledger: Ledger) -> int:
    with suppress(LedgerUnavailable):
        return ledger.live_workers()
    return 0


def _is_ready(http: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return http.get("/readyz").status_code == httpx.codes.OK
    return False
