"""What must hold, looked at while it happens: every write to storage, every answer of a script and of the service."""

import json
from collections import Counter
from typing import Any

from service.contract import layout
from service.contract.job import Job, Outcome, Status
from service.contract.manifest import Manifest
from service.contract.request import AcceptedRequest, ResolvedRequest
from service.contract.shard import all_shards, shard_at
from service.contract.value import sha256_hex
from tests.model.plan import Asked
from tests.model.stage import Stage
from tests.model.store import MemoryStorage
from tests.model.studio import content


class Judge:
    """Remembers what was decided, promised and told; a contradiction is a violation."""

    def __init__(self, stage: Stage, store: MemoryStorage, jobs: tuple[Asked, ...]) -> None:
        self._stage, self._store = stage, store
        self._jobs = {job.job_id: job for job in jobs}
        self.accepted: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self._outcomes: dict[str, bytes] = {}
        self._ended_at: dict[str, int] = {}
        self._requests: dict[str, ResolvedRequest] = {}
        self._told: dict[str, Status] = {}
        self._stops: dict[str, int] = {}
        self._begun: Counter[tuple[str, str]] = Counter()
        self._hurt: dict[str, tuple[int, bool]] = {}
        self.losses = 0
        self.count: Counter[str] = Counter()

    # storage

    def wrote(self, key: str) -> None:
        if key.startswith("shards/"):
            self._wrote_shard(key)
        elif key.endswith("/outcome.json") and key in self._store.objects:
            self._wrote_outcome(key)

    def _wrote_shard(self, key: str) -> None:
        if key in self._store.objects:
            self._hurt.pop(key, None)
            if not self._has(key):
                self._stage.violated(f"wrong bytes were written to {key}")

    def deletes(self, key: str) -> None:
        if key.startswith("shards/") and self._has(key):
            self._stage.violated(f"an intact shard was deleted: {key}")

    def _has(self, key: str) -> bool:
        """Whether the shard lies in storage, every byte right."""
        return self._store.objects.get(key, (b"",))[0] == content(key)

    def _wrote_outcome(self, key: str) -> None:
        job_id, data = key.split("/")[1], self._store.get(key)
        if job_id in self._outcomes:
            if data != self._outcomes[job_id]:
                self._stage.violated(f"the outcome of {job_id} changed")
            return
        self._outcomes[job_id], self.ended[job_id] = data, self._stage.now_ms
        self._ended_at[job_id] = self._stage.steps
        self._decided(Outcome.model_validate_json(data))

    def _decided(self, outcome: Outcome) -> None:
        self.count[outcome.status] += 1
        if outcome.status == Status.COMPLETED:
            self._completed(outcome.id)
            if self._stops.get(outcome.id) == self.losses:
                self._stage.violated(f"{outcome.id} was promised to stop, and completed")
        if outcome.status == Status.FAILED:
            self._failed(outcome)
        if outcome.status == Status.CANCELLED and not self._jobs[outcome.id].cancels:
            self._stage.violated(f"{outcome.id} was cancelled, and nobody asked for it")

    def _completed(self, job_id: str) -> None:
        request = self._request(job_id)
        if layout.job_manifest(job_id) not in self._store.objects:
            self._stage.violated(f"{job_id} completed without a manifest")
            return
        manifest = Manifest.model_validate_json(self._store.get(layout.job_manifest(job_id)))
        wanted = [
            (layout.shard_of(request.recipe, shard), shard.start, shard.stop)
            for shard in all_shards(request.count, request.shard_size)
        ]
        if [(each.key, each.start, each.stop) for each in manifest.shards] != wanted:
            self._stage.violated(f"the manifest of {job_id} has not exactly its shards")
        if any(each.sha256 != sha256_hex(content(each.key)) for each in manifest.shards):
            self._stage.violated(f"the manifest of {job_id} has a wrong checksum")
        for key, *_ in wanted:
            self._stored(job_id, key)

    def _request(self, job_id: str) -> ResolvedRequest:
        if job_id not in self._requests:
            stored = self._store.get(layout.job_request(job_id))
            request = AcceptedRequest.model_validate_json(stored).resolved
            assert request is not None
            self._requests[job_id] = request
        return self._requests[job_id]

    def _stored(self, job_id: str, key: str) -> None:
        if not self._has(key) and not self._is_excused(key):
            self._stage.violated(f"{job_id} completed without an intact {key}")

    def _is_excused(self, key: str) -> bool:
        """A finisher can see what is gone when it looks, but not which byte is another."""
        step, is_gone = self._hurt.get(key, (-1, False))
        return step >= 0 and (not is_gone or step >= self._began_at())

    def _failed(self, outcome: Outcome) -> None:
        job, most = (
            self._jobs[outcome.id],
            max(
                (times for (job_id, _), times in self._begun.items() if job_id == outcome.id),
                default=0,
            ),
        )
        if job.can_succeed and most < 5 and not job.by_task:
            self._stage.violated(f"{outcome.id} failed for no reason: {outcome.error}")

    def hurt(self, key: str, *, is_gone: bool) -> None:
        """Somebody outside deleted or damaged the object."""
        self._hurt[key] = self._stage.steps, is_gone

    # Redis

    def answered(self, script: str, args: list[Any], answer: Any) -> None:
        look = {
            "create": self._created,
            "claim": self._claimed,
            "begin": self._began,
            "commit": self._committed,
            "resolve": self._resolved,
        }.get(script)
        if look is not None:
            look(args, answer)

    def _created(self, args: list[Any], answer: Any) -> None:
        ended = self._ended_at.get(args[1], self._stage.steps)
        if answer == "CREATED" and ended < self._began_at():
            self._stage.violated(f"{args[1]} had ended, and came to life again")

    def _claimed(self, args: list[Any], answer: Any) -> None:
        if len(answer) - 2 > min(int(args[2]), int(args[3])):
            self._stage.violated(f"{len(answer) - 2} shards claimed of a window of {args[2:4]}")

    def _began(self, args: list[Any], answer: Any) -> None:
        if answer[0] == "OK":
            self._begun[args[1], str(args[2])] += 1
            self.count["begun"] += 1

    def _committed(self, args: list[Any], answer: Any) -> None:
        if answer not in ("OK", "LAST"):
            return
        request = self._request(args[1])
        shard = shard_at(int(args[2]), count=request.count, shard_size=request.shard_size)
        key = layout.shard_of(request.recipe, shard)
        hurt = self._hurt.get(key, (-1, False))[0]
        if not self._has(key) and hurt < self._began_at():
            self._stage.violated(f"{args[1]} counts shard {shard.index}, which is not as it should")

    def _resolved(self, args: list[Any], answer: Any) -> None:
        if answer == "CONFLICT":
            self._stage.violated(f"the ledger had told another outcome of {args[1]}")

    def _began_at(self) -> int:
        """The step at which the piece of work began that acts now."""
        actor = self._stage.actor
        return self._stage.steps if actor is None else actor.began

    def lost_redis(self) -> None:
        self.losses += 1

    def made(self, key: str) -> None:
        self.count["made"] += 1

    # clients

    def told(self, job: Job, *, of: Asked) -> None:
        self.accepted.setdefault(of.job_id, self._stage.steps)
        if not job.status.is_terminal:
            return
        told = self._told.setdefault(of.job_id, job.status)
        stands = self._outcomes.get(of.job_id)
        if stands is None:
            self._stage.violated(f"{of.job_id} is told as {job.status} without an outcome")
        elif told != job.status or json.loads(stands)["status"] != job.status:
            self._stage.violated(f"{of.job_id} is told as {job.status} after {told}")

    def promised_to_stop(self, of: Asked, *, losses: int) -> None:
        """`losses`: how often Redis had been lost when the client asked; one that forgets may break this promise."""
        if of.job_id not in self._outcomes:
            self._stops[of.job_id] = losses

    def told_unknown(self, of: Asked) -> None:
        # A question that was asked before the job was accepted may be answered like this.
        if self.accepted.get(of.job_id, self._stage.steps) < self._began_at():
            self._stage.violated(f"the accepted {of.job_id} is told as unknown")

    # the end

    def completed(self) -> list[Asked]:
        return [
            self._jobs[job_id]
            for job_id, data in self._outcomes.items()
            if job_id in self.accepted and json.loads(data)["status"] == Status.COMPLETED
        ]

    def broken(self) -> list[str]:
        """Shards of completed jobs that are not there, or not as they were."""
        return [
            key
            for job in self.completed()
            for key in self._keys(self._request(job.job_id))
            if not self._has(key)
        ]

    def _keys(self, request: ResolvedRequest) -> list[str]:
        shards = all_shards(request.count, request.shard_size)
        return [layout.shard_of(request.recipe, shard) for shard in shards]

    def unfinished(self) -> list[str]:
        return [job_id for job_id in self.accepted if job_id not in self._outcomes]
