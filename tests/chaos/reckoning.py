"""Afterwards: what storage holds, against what was asked, told and promised."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.job import Outcome, Status
from service.contract.manifest import Manifest
from service.contract.request import AcceptedRequest, ResolvedRequest
from service.contract.shard import Shard, all_shards
from service.contract.value import Value, sha256_hex
from service.lifecycle.submit import ANONYMOUS, job_id_for
from tests.chaos.asks import Ask
from tests.fixtures.undisturbed import undisturbed_shard

Record = TypeVar("Record", bound=Value)


@dataclass
class Sets:
    """The four sets of Jepsen's queues, and what else must be empty. Each entry says which job and why."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    wrong_bytes: list[str] = field(default_factory=list)
    told_otherwise: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Every entry that must not be there; that an unanswered wish came true is welcome."""
        kinds = {name: entries for name, entries in vars(self).items() if name != "recovered"}
        return [f"{name}: {entry}" for name, entries in kinds.items() for entry in entries]


class Reckoning:
    """Reads storage alone: Redis and the API may say what they like."""

    def __init__(self, storage: Storage, asks: list[Ask]) -> None:
        self._storage, self._asks = storage, asks
        self._right: dict[tuple[str, int, int], str] = {}

    @cached_property
    def accepted(self) -> dict[str, AcceptedRequest]:
        """What was written as accepted, by job id."""
        ids = {entry.key.split("/")[1] for entry in self._storage.list("jobs/")}
        found = {job_id: self._read(AcceptedRequest, layout.job_request(job_id)) for job_id in ids}
        return {job_id: request for job_id, request in found.items() if request is not None}

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        found = {id: self._read(Outcome, layout.job_outcome(id)) for id in self.accepted}
        return {job_id: outcome for job_id, outcome in found.items() if outcome is not None}

    def sets(self) -> Sets:
        sets = Sets()
        for ask in self._asks:
            self._judge(ask, sets)
        sets.unexpected += self._unasked()
        sets.duplicated += self._listed_twice()
        for job_id, outcome in self.outcomes.items():
            if outcome.status == Status.COMPLETED:
                self._judge_completed(job_id, sets)
        return sets

    @property
    def cancelled(self) -> set[str]:
        """Ids of the jobs that clients called off."""
        return {
            job_id
            for job_id, outcome in self.outcomes.items()
            if outcome.status == Status.CANCELLED
        }

    def broken(self) -> list[str]:
        """Ids of completed jobs with a shard whose bytes are not its manifest's."""
        done = [job for job, outcome in self.outcomes.items() if outcome.status == Status.COMPLETED]
        return [job_id for job_id in done if self._is_broken(job_id)]

    def _is_broken(self, job_id: str) -> bool:
        manifest = self._read(Manifest, layout.job_manifest(job_id))
        return manifest is not None and any(
            self._sha256(shard.key) != shard.sha256 for shard in manifest.shards
        )

    def _sha256(self, key: str) -> str | None:
        try:
            return sha256_hex(self._storage.get(key))
        except ObjectMissing:
            return None

    # -- one wish ------------------------------------------------------------------------------------------------

    def _judge(self, ask: Ask, sets: Sets) -> None:
        name = f"{ask.way} {ask.key or ask.body}"
        if len(ask.ids) > 1:
            sets.duplicated.append(f"{name} became {sorted(ask.ids)}")
        for job_id in ask.ids:
            if job_id not in self.outcomes:
                sets.lost.append(f"{job_id} ({name}) has no outcome, last seen {ask.seen[-1:]}")
            else:
                self._judge_told(ask, self.outcomes[job_id], sets)
        if not ask.ids and ask.unanswered and self._own_id(ask) in self.outcomes:
            sets.recovered.append(name)
        sets.refused += [f"{name}: {refusal}" for refusal in ask.refused]

    def _judge_told(self, ask: Ask, outcome: Outcome, sets: Sets) -> None:
        sets.told_otherwise += [f"{outcome.id}: {oddity}" for oddity in ask.oddities]
        if ask.has_ended and ask.seen[-1] != outcome.status:
            sets.told_otherwise.append(f"{outcome.id} was {ask.seen[-1]}, is {outcome.status}")
        if ask.cancel_told == Status.CANCELLED != outcome.status:
            sets.told_otherwise.append(f"{outcome.id} was cancelled, is {outcome.status}")
        if outcome.status == Status.CANCELLED and ask.way != "cancelled":
            sets.unexpected.append(f"{outcome.id} ended cancelled, nobody asked for that")
        if outcome.status == Status.FAILED:
            sets.unexpected.append(f"{outcome.id} failed: {outcome.error}")

    def _own_id(self, ask: Ask) -> str:
        if ask.way == "producer":
            return str(ask.key)
        if ask.key is not None:
            return job_id_for(ANONYMOUS, ask.key)
        # Told that nothing was accepted, a client without a key may rely on it.
        given = [job_id for job_id, job in self.accepted.items() if job.given == ask.body]
        return given[0] if given and ask.unanswered else ""

    # -- all jobs ------------------------------------------------------------------------------------------------

    def _unasked(self) -> Iterator[str]:
        """Jobs that ended and belong to no wish. A plain wish whose answer was lost may have become one job."""
        known = {job_id for ask in self._asks for job_id in (*ask.ids, self._own_id(ask))}
        for job_id in self.outcomes:
            if job_id not in known:
                yield f"{job_id} was made for nobody: {self.accepted[job_id].given}"

    def _listed_twice(self) -> Iterator[str]:
        entries = self._storage.list(layout.log_prefix(ANONYMOUS))
        times = Counter(layout.job_of_log_entry(entry.key) for entry in entries)
        yield from (f"{job_id} is listed {n} times" for job_id, n in times.items() if n > 1)

    def _judge_completed(self, job_id: str, sets: Sets) -> None:
        resolved = self.accepted[job_id].resolved
        manifest = self._read(Manifest, layout.job_manifest(job_id))
        if resolved is None or manifest is None:
            sets.lost.append(f"{job_id} completed without a manifest")
            return
        wanted = list(all_shards(resolved.count, resolved.shard_size))
        have = [Shard(index=s.index, start=s.start, stop=s.stop) for s in manifest.shards]
        if have != wanted:
            sets.duplicated.append(f"{job_id}'s manifest lists {len(have)} of {len(wanted)} shards")
        for shard, told in zip(wanted, manifest.shards, strict=False):
            if told.sha256 != self._right_sha256(resolved, shard):
                sets.wrong_bytes.append(f"{job_id} shard {shard.index}: the manifest's sha256")
        sets.wrong_bytes += self._wrong_shards(job_id, resolved)

    def _wrong_shards(self, job_id: str, request: ResolvedRequest) -> Iterator[str]:
        for shard in all_shards(request.count, request.shard_size):
            stored = self._sha256(layout.shard_of(request.recipe, shard))
            if stored != self._right_sha256(request, shard):
                yield f"{job_id} shard {shard.index}: {'other bytes' if stored else 'missing'}"

    def _right_sha256(self, request: ResolvedRequest, shard: Shard) -> str:
        """What a run without any fault makes, in this process."""
        name = (request.recipe.digest, shard.start, shard.stop)
        if name not in self._right:
            self._right[name] = undisturbed_shard(request, shard)
        return self._right[name]

    def _read(self, kind: type[Record], key: str) -> Record | None:
        try:
            return kind.model_validate_json(self._storage.get(key))
        except ObjectMissing:
            return None
