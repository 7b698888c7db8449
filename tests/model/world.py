"""One run: a plan, a cast and faults, all of one seed, until every accepted job has ended, or should have."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

import service.adapters.ledger
import workers.errand
import workers.lease
import workers.repair
import workers.shard
import workers.sweep
from service.adapters.ledger import Ledger
from service.contract import layout
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts
from tests.fixtures.decoders import tiny_decoder
from tests.model.bucket import Bucket
from tests.model.cast import Cast
from tests.model.consistency import contradictions
from tests.model.faults import Faults
from tests.model.judge import Judge
from tests.model.plan import Asked, draw_plan
from tests.model.post import Post
from tests.model.scripts import Change, source
from tests.model.stage import Actor, Stage, Violation
from tests.model.store import MemoryStorage
from tests.model.studio import maker
from tests.model.swapped import swapped
from tests.model.weather import Weather
from tests.model.wire import Wire
from workers.sweep import Sweep

#: Steps with faults.
WILD = 700
#: Virtual seconds after the last fault until every accepted job has ended.
BOUND_S = 900
#: Steps between two looks at all that Redis holds.
LOOK = 20
#: No run takes more; a ledger that goes round in circles is found here.
MOST_STEPS = 60_000


@dataclass(frozen=True)
class Run:
    """How one seed went. `settled_s`: from the last fault to the last outcome."""

    seed: int
    steps: int
    jobs: int
    settled_s: float
    faults: Counter[str]
    count: Counter[str]


class World:
    def __init__(self, seed: int, url: str) -> None:
        self.seed, rng = seed, random.Random(seed)
        self.stage, self.faults = Stage(rng), Faults(random.Random(rng.random()))
        self.plan, self._rng = draw_plan(rng), rng
        self.store = MemoryStorage(self.stage.moment)
        self.judge = Judge(self.stage, self.store, self.plan.jobs)
        self.wire = Wire(self.stage, self.faults, url)
        self.wire.flushall()
        self.post = Post(self.stage, self.faults)
        ledger = Ledger(self.wire, clock=self.stage.clock_ms)  # type: ignore[arg-type]
        self.wire.answered = self.judge.answered
        bucket = Bucket(self.stage, self.faults, self.store, self.judge)
        self.parts = Parts(bucket, ledger, self.post, self.stage.moment)  # type: ignore[arg-type]
        self.cast = Cast(self.stage, self.parts, self.post, self.judge, self.plan)
        self._weather = Weather(
            *(self.stage, self.faults, self.store, self.wire, self.post, self.judge), rng
        )
        _publish(self.store)

    def run(self) -> Run:
        """Raises Violation."""
        try:
            self._enter()
            for _ in range(WILD):
                self._step(self._wild)
            calm_ms = self._calm()
            self._until(lambda: not self.judge.unfinished() and not self._is_moving())
            run = self._report(calm_ms)
            self._mend()
            self._aftermath()
            return run
        finally:
            self._close()

    # the course of a run

    def _enter(self) -> None:
        for asked in self.plan.jobs:
            act = self.cast.produces if asked.by_task else self.cast.submits
            self._enter_client(f"client {asked.job_id}", partial(act, asked), most_ms=15_000)
            if asked.cancels:
                self._enter_client(
                    f"cancel {asked.job_id}", partial(self.cast.cancels, asked), most_ms=40_000
                )
        for number in range(self.plan.workers):
            self.stage.enter(f"worker {number}", self.cast.works)
        for number in range(2):
            self.stage.enter(f"sweep {number}", self.cast.sweeps)
        self.stage.enter("reader", self.cast.looks)

    def _enter_client(self, name: str, act: Any, *, most_ms: int) -> None:
        self.stage.enter(name, act, in_ms=self._rng.randint(0, most_ms))

    def _step(self, act: Any) -> None:
        actor = self.stage.step()
        assert actor is not None
        act(actor)
        process = actor.process or actor
        if process.is_dead:
            # A supervisor restarts, a client asks again.
            self.stage.enter(process.name, process.act, in_ms=self._rng.randint(300, 3000))
        if self.stage.steps % LOOK == 0:
            for wrong in contradictions(self.wire.server, self.stage.now_ms):
                self.stage.violated(wrong)
        if self.stage.wrong:
            raise self._violation(self.stage.wrong)

    def _turn(self, actor: Actor) -> None:
        self.stage.turn(actor)

    def _wild(self, actor: Actor) -> None:
        self._weather.changes()
        if self.faults.strikes("kill"):
            self.stage.kill(actor.process or actor)
        elif self.faults.strikes("nap"):
            actor.wakes_ms = self.stage.now_ms + self._rng.randint(1000, 60_000)
            self.stage.tell(f"{actor.name} is paused until {actor.wakes_ms / 1000:.1f}s")
        else:
            self._turn(actor)

    def _calm(self) -> int:
        self.stage.tell("from here on nothing goes wrong any more")
        self.faults.end()
        return self.stage.now_ms

    def _is_moving(self) -> bool:
        """Whether the ledger has not heard of every end yet."""
        return bool(self.wire.server.zcard("lm:owners"))

    def _until(self, is_so: Callable[[], bool]) -> None:
        """Raises Violation when it takes too long."""
        last_ms = self.stage.now_ms + BOUND_S * 1000
        while not is_so():
            self._step(self._turn)
            if self.stage.now_ms > last_ms or self.stage.steps > MOST_STEPS:
                left = self.judge.unfinished() or self.judge.broken() or "the ledger"
                raise self._violation(f"{left} has not ended in {BOUND_S} virtual seconds of calm")

    def _mend(self) -> None:
        """What was deleted or damaged in a completed job comes back, byte by byte, when it is asked for."""
        for asked in self.judge.completed():
            self.stage.enter(f"repair {asked.job_id}", partial(self.cast.asks_for_repair, asked))
        self._until(lambda: not self.judge.broken() and not self._owes_repairs())

    def _owes_repairs(self) -> bool:
        return any(key.startswith(layout.REPAIRS) for key in self.store.objects)

    def _aftermath(self) -> None:
        """Redis is lost once more: storage alone tells of every job, and no marker is left of those that ended."""
        self._end_all()
        self.wire.flushall()
        Sweep(self.parts, rebuild_interval_s=0).turn()
        for asked in self.plan.jobs:
            if asked.job_id in self.judge.ended:
                self._stays_ended(asked)
        if self.stage.wrong:
            raise self._violation(self.stage.wrong)

    def _stays_ended(self, asked: Asked) -> None:
        if layout.active(asked.job_id) in self.store.objects:
            self.stage.violated(f"the marker of {asked.job_id} stays")
        job = describe(self.parts, asked.job_id, owner=asked.owner)
        if not job.status.is_terminal:
            self.stage.violated(f"{asked.job_id} is {job.status} again")
        self.judge.told(job, of=asked)

    def _report(self, calm_ms: int) -> Run:
        last_ms = max(self.judge.ended.values(), default=calm_ms)
        return Run(
            self.seed,
            self.stage.steps,
            len(self.judge.accepted),
            max(0, last_ms - calm_ms) / 1000,
            self.faults.count,
            self.judge.count,
        )

    def _violation(self, what: str) -> Violation:
        events = "\n".join(self.stage.events)
        return Violation(
            f"seed {self.seed}: {what}\n{events}\nagain: python -m tests.model --seed {self.seed}"
        )

    def _end_all(self) -> None:
        for actor in list(self.stage.actors):
            self.stage.kill(actor)

    def _close(self) -> None:
        self._end_all()
        self.wire.close()


def _publish(store: MemoryStorage) -> None:
    onnx, card = tiny_decoder()
    store.put(layout.decoder_onnx(card.name, card.digest), onnx)
    store.put(layout.decoder_card(card.name, card.digest), card.to_json())
    store.put(layout.decoder_current(card.name), f'{{"digest":"{card.digest}"}}'.encode())


def simulate(seed: int, url: str, *, scripts: tuple[Change, ...] = ()) -> Run:
    """Raises Violation. `scripts`: changes to the ledger's scripts."""
    with ExitStack() as stack:
        swap = lambda *change: stack.enter_context(swapped(*change))  # noqa: E731
        swap(service.adapters.ledger, "_source", partial(source, changes=scripts))
        world = World(seed, url)
        for module in (workers.errand, workers.lease, workers.shard, workers.sweep):
            swap(module, "time", world.stage)
        swap(workers.lease, "threading", world.stage)
        make = maker(world.stage, world.judge.made)
        for module in (workers.shard, workers.repair):
            swap(module, "make_shard", make)
        stack.enter_context(silence())
        return world.run()


@contextmanager
def silence() -> Iterator[None]:
    """The code under test logs every fault, and there are thousands."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


def _drop(*_: object) -> Any:
    raise structlog.DropEvent
