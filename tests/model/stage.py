"""The stage: actors that run real code in turns, with virtual time; a seed decides whose turn it is.

Every call to storage, Redis or the queue gives the turn away first, so an actor can be paused or killed between any
two effects. Greenlets, because the code that runs knows nothing of this.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from greenlet import greenlet

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
#: Steps that a failure shows.
TOLD = 40
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
        actor.turn = greenlet(lambda: self._play(actor), self._director)
        self.actors.append(actor)
        return actor

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
        self.tell(f"{actor.name} is killed")
        actor.is_dead = True
        if actor.turn:
            self._switch(actor, lambda: actor.turn.throw(Killed))
        else:
            self.actors.remove(actor)

    def _switch(self, actor: Actor, go: Callable[[], object]) -> None:
        self.actor = actor
        try:
            go()
        finally:
            self.actor = None
        if actor.turn.dead:
            self.actors.remove(actor)

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

    def monotonic(self) -> float:
        return self.now_ms / 1000
