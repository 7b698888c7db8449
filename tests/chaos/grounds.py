"""Where it happens: a fleet with two of every role, each process started again when it died."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.contract.settings import Settings
from tests.fixtures.fleet import Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.redis import free_port
from tests.fixtures.role import Role

ROLES = ("api", "sweep", "worker")
PER_ROLE = 2
#: What lived shorter would die again at once: something that it needs is away.
_SHORT_LIFE_S, _PAUSE_S = 4.0, 2.0
#: A first start compiles, beside whatever else the machine does.
_OPEN_S = 300.0


@dataclass
class Post:
    """The place of one process, and who stands there now."""

    name: str
    port: int
    role: Role | None = None
    manned_at: float = 0.0
    died_at: float | None = None

    @property
    def is_manned(self) -> bool:
        return self.role is not None and self.role.is_alive

    @property
    def may_be_manned(self) -> bool:
        """Whether nobody stands there; after a short life only when a pause is over."""
        if self.role is None:
            return True
        if self.role.is_alive:
            return False
        self.died_at = self.died_at or time.monotonic()
        had_a_life = self.died_at - self.manned_at > _SHORT_LIFE_S
        return had_a_life or time.monotonic() - self.died_at > _PAUSE_S

    def man(self, role: Role) -> None:
        self.role, self.manned_at, self.died_at = role, time.monotonic(), None


class Grounds(Fleet):
    """`Fleet`, but with two APIs, each on its port, and with whoever died replaced."""

    def __init__(self, folder: Path, **settings: object) -> None:
        super().__init__(folder, **settings)
        ports = [free_port() for _ in range(PER_ROLE)]
        self.posts = [Post(name, port) for name in ROLES for port in ports]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        #: Keys of shards that somebody deleted or corrupted behind the fleet's back.
        self.damaged: list[str] = []
        self.lease_s = float(str(settings.get("lease_s", Settings().lease_s)))
        self._lock, self._closed = threading.Lock(), False

    def open(self) -> None:
        """Returns when all are at work."""
        assert eventually(self.is_whole, within_s=_OPEN_S), self.logs()[-5000:]

    def is_whole(self) -> bool:
        """Whether all processes work."""
        return all(map(_answers, self.urls)) and all(
            post.is_manned and (post.name == "api" or post.role.events(f"{post.name}_ready"))  # type: ignore[union-attr]
            for post in self.posts
        )

    def tend(self) -> None:
        """Man the posts of those who died."""
        with self._lock:
            for post in self.posts:
                if not self._closed and post.may_be_manned:
                    self._port = post.port
                    self._start(post.name)
                    post.man(self.roles[-1])

    def stop(self) -> None:
        with self._lock:
            self._closed = True
        super().stop()

    def note_damage(self, path: Path) -> str:
        key = path.relative_to(self.objects).as_posix()
        self.damaged.append(key)
        return key

    @contextmanager
    def storage_away(self) -> Iterator[None]:
        """The folder is gone; in its place is a file, so that nobody who starts now fills the mount point."""
        away = self.objects.rename(self.objects.with_name("away"))
        self.objects.touch()
        try:
            yield
        finally:
            self.objects.unlink()
            away.rename(self.objects)


@contextmanager
def attended(grounds: Grounds) -> Iterator[Grounds]:
    """All at work when it is yielded, and at work again soon after they died; stopped in the end."""
    over = threading.Event()

    def attend() -> None:
        # To the kernel a thread is the parent, and what it started ends with it: it stays to the end.
        while not over.wait(0.2):
            grounds.tend()

    threading.Thread(target=attend, name="attendant", daemon=True).start()
    try:
        grounds.open()
        yield grounds
    finally:
        grounds.stop()
        over.set()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=4).is_success
    except httpx.TransportError:
        return False
