"""The stage: actors that run real code in turns, with virtual time; a seed decides whose turn it is.

Every call to storage, Redis or the queue gives the turn away first, so an actor can be paused or killed between any
two effects. Greenlets, because the code that runs knows nothing of this.
"""

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from greenlet import greenlet

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
#: Steps that a failure shows.
TOLD = 40
#: What idle processes do all the time: it would crowd out what matters.
QUIET = ("idle", "waits for", "sweeps", "looks", "get lm:boot", "slots", "queue length", "due")
#: Between two steps: what a round trip or a computation takes.
MOST_MS_A_STEP = 60


class Killed(BaseException):
    """What kill -9 looks like from inside: no handler of ours catches it."""


class Violation(AssertionError):
    """Something that must hold did not; says the seed and the last events."""


@dataclass(eq=False)
class Actor:
    """A process, or one call of a client. `began` is the step at which its present piece of work began."""

    name: str
    act: Callable[[], None]
    wakes_ms: int
    began: int = 0
    is_dead: bool = False
    #: The process of which this is a thread.
    process: "Actor | None" = None
    turn: greenlet = field(init=False)


class Stage:
    def __init__(self, rng: random.Random) -> None:
        self.rng, self.now_ms, self.steps = rng, 1_000_000, 0
        self.actors: list[Actor] = []
        self.actor: Actor | None = None
        self.wrong: str | None = None
        self.events: deque[str] = deque(maxlen=TOLD)
        self._director = greenlet.getcurrent()

    def enter(self, name: str, act: Callable[[], None], *, in_ms: int = 0) -> Actor:
        actor = Actor(name, act, self.now_ms + in_ms)
        self._begin(actor)
        return actor

    def start_thread(self, act: Callable[[], None]) -> None:
        """A second actor, which dies with the one that acts now."""
        of = self.actor
        assert of is not None
        self._begin(Actor(f"{of.name}'s thread", act, self.now_ms, self.steps, process=of))

    def _begin(self, actor: Actor) -> None:
        actor.turn = greenlet(lambda: self._play(actor), self._director)
        self.actors.append(actor)

    def _play(self, actor: Actor) -> None:
        try:
            actor.act()
        except Killed:
            actor.is_dead = True
        except Exception as error:
            self.violated(f"{actor.name} ended with {error!r}")

    def yields(self, what: str, *, for_ms: int = 0) -> None:
        """Give the turn away, for at least so long. Outside of any actor nothing happens."""
        actor = self.actor
        if actor is None:
            return
        if actor.is_dead:
            raise Killed
        actor.wakes_ms = self.now_ms + for_ms
        self._director.switch()
        if not what.startswith(QUIET):
            self.tell(f"{actor.name}: {what}")

    def begins(self) -> None:
        """The actor begins a new piece of work."""
        if self.actor is not None:
            self.actor.began = self.steps

    def step(self) -> Actor | None:
        """Let time pass and choose who is next; None when there is nobody at all."""
        self.steps += 1
        if not self.actors:
            return None
        self.now_ms += self.rng.randint(0, MOST_MS_A_STEP)
        ready = [actor for actor in self.actors if actor.wakes_ms <= self.now_ms]
        if not ready:
            self.now_ms = min(actor.wakes_ms for actor in self.actors)
            ready = [actor for actor in self.actors if actor.wakes_ms <= self.now_ms]
        return self.rng.choice(ready)

    def turn(self, actor: Actor) -> None:
        self._switch(actor, lambda: actor.turn.switch())

    def kill(self, actor: Actor) -> None:
        """With all of its threads."""
        self.tell(f"{actor.name} is killed")
        self._end(actor)
        self._end_threads(actor)

    def _end_threads(self, actor: Actor) -> None:
        for thread in [other for other in self.actors if other.process is actor]:
            self._end(thread)

    def _end(self, actor: Actor) -> None:
        actor.is_dead = True
        if actor.turn:
            self._switch(actor, lambda: actor.turn.throw(Killed))
        elif actor in self.actors:
            self.actors.remove(actor)

    def _switch(self, actor: Actor, go: Callable[[], object]) -> None:
        self.actor = actor
        try:
            go()
        finally:
            self.actor = None
        if actor.turn.dead:
            self.actors.remove(actor)
            if actor.is_dead:
                self._end_threads(actor)

    def tell(self, event: str) -> None:
        self.events.append(f"{self.steps:5d} {self.now_ms / 1000:9.3f}s {event}")

    def violated(self, what: str) -> None:
        """Remembered, because the code under test catches most of what is raised in it."""
        self.wrong = self.wrong or what
        self.tell(f"VIOLATED: {what}")

    # what the code under test takes for clocks

    def clock_ms(self) -> int:
        return self.now_ms

    def moment(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.now_ms)

    # Never held while the turn is given away.
    Lock, RLock = threading.Lock, threading.RLock

    def Event(self) -> "Flag":  # noqa: N802 - in the place of `threading`
        return Flag(self)

    def Thread(  # noqa: N802
        self, *, target: Callable[..., None], args: tuple[object, ...], daemon: bool
    ) -> "Thread":
        return Thread(self, lambda: target(*args))

    def monotonic(self) -> float:
        return self.now_ms / 1000


class Flag:
    """An event that is looked at again when the wait is over."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._is_set = stage, False

    def set(self) -> None:
        self._is_set = True

    def wait(self, seconds: float) -> bool:
        self._stage.yields(f"waits for {seconds} s", for_ms=int(seconds * 1000))
        return self._is_set


@dataclass(frozen=True)
class Thread:
    stage: Stage
    act: Callable[[], None]

    def start(self) -> None:
        self.stage.start_thread(self.act)
