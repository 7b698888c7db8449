"""The supervisor: starts children, starts them again when they die, stops them all in order."""

import signal
import threading
import time
from itertools import groupby

from service.contract.errors import ChildDied
from service.local.child import Child, Run

#: A child that lived this long starts with a clean record.
_GOOD_LIFE_S = 30.0
#: Deaths in a row, each after less than a good life, until the supervisor gives up.
_MOST_DEATHS = 6
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.2, 5.0


class Post:
    """A child's place: its current run, how often it died in a row, and when it is manned again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.run = Run(child)
        self.deaths = 0
        self._due: float | None = None

    def look(self) -> str | None:
        """Start the child again when it is dead and its backoff is over; why to give up, if so."""
        if self._due is not None:
            self._man_again()
        elif not self.run.is_alive:
            return self._bury()
        return None

    def _man_again(self) -> None:
        if self._due is not None and time.monotonic() >= self._due:
            self._due, self.run = None, Run(self.child)

    def _bury(self) -> str | None:
        self.run.signal(signal.SIGKILL)  # What it may have started must not outlive it.
        self.deaths = 1 if self.run.lived_s > _GOOD_LIFE_S else self.deaths + 1
        if self.deaths >= _MOST_DEATHS:
            return f"gave up after {self.deaths} deaths in a row: {self.run.epitaph()}"
        self._due = time.monotonic() + min(
            _LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (self.deaths - 1)
        )
        return None


class Supervisor:
    """Every child has one post. Children end with this process, however it ends (see leash.py).

    To the kernel a thread is the parent: start and watch from threads that live as long as this.
    """

    def __init__(self) -> None:
        self._posts: dict[str, Post] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self.failure: str | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The process of each child by its name; of a dead one until it is started again."""
        return {name: post.run.pid for name, post in self._posts.items()}

    def start(self, child: Child) -> None:
        with self._lock:
            self._posts[child.name] = Post(child)

    def check_alive(self) -> None:
        """Raises ChildDied with the last words of the first child that is dead."""
        for post in list(self._posts.values()):
            if not post.run.is_alive:
                raise ChildDied(post.run.epitaph())

    def watch(self) -> None:
        """Look at every post; start again what died. Sets `failure` when a child keeps dying."""
        with self._lock:
            if self._stopped:
                return
            for post in self._posts.values():
                self.failure = self.failure or self._look(post)

    def _look(self, post: Post) -> str | None:
        try:
            return post.look()
        except OSError as error:  # no memory, no processes, no disk for the log
            return f"cannot start {post.child.name} again: {error}"

    def stop(self) -> None:
        """Stop all children, in the order of their ranks; kill those that outlive their grace.

        An interrupt (a second Ctrl-C) kills everything at once.
        """
        with self._lock:
            self._stopped = True
        runs = sorted(
            (post.run for post in self._posts.values()), key=lambda run: run.child.stop_rank
        )
        try:
            for _, rank in groupby(runs, key=lambda run: run.child.stop_rank):
                _stop_together(list(rank))
        finally:
            for run in runs:
                run.signal(signal.SIGKILL)
                run.wait(5.0)


def _stop_together(runs: list[Run]) -> None:
    for run in runs:
        run.signal(signal.SIGTERM)
    deadline = time.monotonic() + max(run.child.grace_s for run in runs)
    for run in runs:
        run.wait(deadline - time.monotonic())
        run.signal(signal.SIGKILL)
        run.wait(5.0)
