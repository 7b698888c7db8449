"""Who acts: clients, workers, sweeps. Each runs the product's own functions, as its process would."""

from contextlib import suppress
from dataclasses import dataclass

from service.contract.errors import (
    JobNotCancellable,
    LimitReached,
    NothingToRepair,
    Unavailable,
    UnknownJob,
)
from service.contract.job import Status
from service.contract.limits import Limits
from service.lifecycle.describe import describe
from service.lifecycle.end import cancel
from service.lifecycle.parts import Parts
from service.lifecycle.repair import ask_for_repair
from service.lifecycle.submit import submit
from tests.model.judge import Judge
from tests.model.plan import Asked, Plan
from tests.model.post import Message, Post
from tests.model.stage import Stage
from tests.model.studio import Nothing
from workers.generate import generate_job
from workers.lease import Watch
from workers.repair import repair_job
from workers.shard import Studio, run_shard
from workers.sweep import Sweep

SWEEP_MS, REBUILD_S = 1000, 30.0
IDLE_MS = 300
#: Of the looks at a completed job.
REPAIRS = 0.1


@dataclass(frozen=True)
class Cast:
    stage: Stage
    parts: Parts
    post: Post
    judge: Judge
    plan: Plan

    @property
    def limits(self) -> Limits:
        return Limits(max_count=10**6, max_active_jobs=self.plan.most_active)

    def submits(self, asked: Asked) -> None:
        """A client that asks until it is answered: the same key, the same body."""
        while True:
            self.stage.begins()
            try:
                answer = submit(
                    *(self.parts, asked.body),
                    owner=asked.owner,
                    limits=self.limits,
                    job_id=asked.job_id,
                )
            except (Unavailable, LimitReached):
                self.stage.yields("asks again later", for_ms=self.stage.rng.randint(500, 5000))
            else:
                self.judge.told(answer.job, of=asked)
                return

    def produces(self, asked: Asked) -> None:
        """A foreign producer: its message is its promise, so it sends until the job is known."""
        while asked.job_id not in self.judge.accepted:
            self.post.send(Message("generate", asked.job_id))
            self.stage.yields("waits for the job", for_ms=20_000)

    def cancels(self, asked: Asked) -> None:
        """Until it is told that the job stops, or cannot."""
        while True:
            self.stage.begins()
            losses = self.judge.losses
            try:
                job = cancel(self.parts, asked.job_id, owner=asked.owner)
            except JobNotCancellable:
                return
            except UnknownJob:
                self.judge.told_unknown(asked)
                return
            except Unavailable:
                self.stage.yields("cancels again later", for_ms=1000)
            else:
                self.judge.told(job, of=asked)
                if job.status == Status.CANCELLING:
                    self.judge.promised_to_stop(asked, losses=losses)
                return

    def looks(self) -> None:
        """A client that asks for a job now and then."""
        while True:
            self.stage.yields("looks", for_ms=self.stage.rng.randint(500, 6000))
            self.stage.begins()
            asked = self.stage.rng.choice(self.plan.jobs)
            try:
                job = describe(self.parts, asked.job_id, owner=asked.owner)
                self.judge.told(job, of=asked)
                if job.status == Status.COMPLETED and self.stage.rng.random() < REPAIRS:
                    ask_for_repair(self.parts, asked.job_id, owner=asked.owner)
            except UnknownJob:
                self.judge.told_unknown(asked)
            except (NothingToRepair, Unavailable):
                self.stage.tell("reader: looks again later")

    def asks_for_repair(self, asked: Asked) -> None:
        """In calm times: the first try is accepted."""
        ask_for_repair(self.parts, asked.job_id, owner=asked.owner)

    def works(self) -> None:
        """A worker process with one slot."""
        studio = Studio(
            *(self.parts, Nothing(), Watch(), Nothing(), Nothing()), device="cpu", heartbeat_s=5.0
        )
        while True:
            while not self.post.messages:
                self.stage.yields("idle", for_ms=IDLE_MS)
            self.stage.begins()
            message = self.post.take()
            try:
                self._run(studio, message)
            except Unavailable:
                self._is_given_back(message)
            self.post.acknowledge(message)

    def _run(self, studio: Studio, message: Message) -> None:
        if message.task == "shard":
            run_shard(studio, message.job_id, message.shard)
        elif message.task == "repair":
            repair_job(studio, message.job_id)
        else:
            (asked,) = (job for job in self.plan.jobs if job.job_id == message.job_id)
            generate_job(self.parts, message.job_id, (), dict(asked.body), limits=self.limits)

    def _is_given_back(self, message: Message) -> None:
        """As in `workers/tasks.py`: a job that no ledger knows of goes back to its queue."""
        if message.task == "generate":
            self.stage.yields("waits", for_ms=2000)
            self.post.messages.append(message)

    def sweeps(self) -> None:
        sweep = Sweep(self.parts, rebuild_interval_s=REBUILD_S)
        while True:
            self.stage.begins()
            with suppress(Unavailable):
                sweep.turn()
            self.stage.yields("sweeps", for_ms=SWEEP_MS)
