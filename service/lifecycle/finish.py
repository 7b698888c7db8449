"""Finish: from an intent to the outcome. Running it twice, or in two places at once, is harmless."""

from collections.abc import Iterator
from contextlib import suppress

import structlog

from service.adapters.ledger_values import Entry, Verdict
from service.adapters.storage import Storage, StoredObject, create_or_keep
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.job import Outcome, Status
from service.contract.manifest import Manifest, ManifestShard, ShardRecord
from service.contract.merkle import root_of
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard, all_shards, shard_at
from service.contract.statement import signed
from service.lifecycle.parts import Parts
from service.lifecycle.retention import is_old, mark_use, refresh_old

log = structlog.get_logger(__name__)

#: Up to this many shards are asked for one by one; more are listed, a thousand in a call.
FEW_SHARDS = 16


def finish(parts: Parts, job_id: str) -> None:
    """Write the manifest where there is one to write, then the outcome; or reopen shards that storage lacks."""
    entry = parts.ledger.read(job_id)
    intended = entry.status.intended_outcome if entry else None
    if entry is None or intended is None:
        return
    if intended == Status.COMPLETED and not _write_manifest(parts, job_id, entry):
        return
    # The outcome goes last: its presence is the commit.
    settle(parts, _decided(parts, job_id, entry, intended))


def _write_manifest(parts: Parts, job_id: str, entry: Entry) -> bool:
    """Whether every shard was found; the others are reopened."""
    request = entry.request
    stored = _kept_shards(parts, job_id, request)
    known = parts.ledger.records(job_id)
    records = [
        (shard, known.get(shard.index) or _record_in_storage(parts.storage, request, shard))
        for shard in all_shards(request.count, request.shard_size)
        if shard.index in stored
    ]
    found = {shard.index: (shard, record) for shard, record in records if record is not None}
    holes = [index for index in range(request.shards) if index not in found]
    if holes:
        log.warning("shards_missing", job=job_id, shards=holes[:20], missing=len(holes))
        parts.ledger.reopen(job_id, holes)
        return False
    manifest = _manifest(job_id, request, list(found.values()))
    if parts.signing_key is not None:
        manifest = signed(manifest, parts.signing_key)
    parts.storage.put(layout.job_manifest(job_id), manifest.to_json())
    return True


def _kept_shards(parts: Parts, job_id: str, request: ResolvedRequest) -> set[int]:
    """Indexes of the stored shards, none of which retention takes away before the outcome."""
    found = dict(_stored_objects(parts.storage, request))
    if not is_old(parts, found.values()):
        return set(found)
    mark_use(parts, job_id, request)
    # Whoever deleted one before it could see the mark is noticed now; who does so later sees the mark.
    found = dict(_stored_objects(parts.storage, request))
    return set(found) - refresh_old(parts, found)


def stored_shards(storage: Storage, request: ResolvedRequest) -> Iterator[int]:
    """Indexes of the request's shards that storage holds, in order; costs what is stored, not what is asked."""
    return (index for index, _ in _stored_objects(storage, request))


def _stored_objects(
    storage: Storage, request: ResolvedRequest
) -> Iterator[tuple[int, StoredObject]]:
    if request.shards <= FEW_SHARDS:
        yield from _asked_for(storage, request)
        return
    digest = request.recipe.digest
    for entry in storage.list(layout.recipe_prefix(digest)):
        start = layout.start_of_shard(entry.key)
        if start is None or start >= request.count:
            continue
        shard = shard_at(
            start // request.shard_size, count=request.count, shard_size=request.shard_size
        )
        # A shorter or longer job of the recipe may have left a last shard that ends elsewhere.
        if entry.key == layout.shard(digest, shard, request.format):
            yield shard.index, entry


def _asked_for(storage: Storage, request: ResolvedRequest) -> Iterator[tuple[int, StoredObject]]:
    recipe = request.recipe
    digest = recipe.digest
    for shard in all_shards(request.count, request.shard_size):
        with suppress(ObjectMissing):
            yield shard.index, storage.head(layout.shard(digest, shard, recipe.format))


def _record_in_storage(
    storage: Storage, request: ResolvedRequest, shard: Shard
) -> ShardRecord | None:
    """What a rebuilt ledger does not know; None for an object that is gone or that no worker of ours wrote."""
    try:
        head = storage.head(layout.shard_of(request.recipe, shard))
        return ShardRecord.from_metadata(head.metadata, size_bytes=head.size_bytes)
    except (ObjectMissing, KeyError, ValueError):
        return None


def _manifest(
    job_id: str, request: ResolvedRequest, records: list[tuple[Shard, ShardRecord]]
) -> Manifest:
    recipe = request.recipe
    digest = recipe.digest
    return Manifest(
        id=job_id,
        request=request,
        recipe=recipe,
        recipe_digest=digest,
        size_bytes=sum(record.size_bytes for _, record in records),
        images_root=root_of([bytes.fromhex(record.images_root) for _, record in records]).hex(),
        profiles={record.profile.id: record.profile for _, record in records},
        shards=tuple(
            ManifestShard(
                index=shard.index,
                start=shard.start,
                stop=shard.stop,
                key=layout.shard(digest, shard, recipe.format),
                size_bytes=record.size_bytes,
                sha256=record.sha256,
                images_root=record.images_root,
                profile=record.profile.id,
            )
            for shard, record in records
        ),
    )


def _decided(parts: Parts, job_id: str, entry: Entry, intended: Status) -> Outcome:
    """The outcome that stands: ours if it is the first, else the one that another finisher wrote."""
    offer = Outcome(
        id=job_id,
        status=intended,
        error=entry.error,
        progress=entry.progress,
        started_at=entry.started_at,
        finished_at=parts.clock(),
    )
    stored = create_or_keep(parts.storage, layout.job_outcome(job_id), offer.to_json())
    return Outcome.model_validate_json(stored)


def settle(parts: Parts, outcome: Outcome) -> None:
    """Make ledger and marker follow an outcome that storage holds."""
    verdict = parts.ledger.resolve(
        outcome.id, outcome.status, error=outcome.error, finished_at=outcome.finished_at
    )
    if verdict == Verdict.CONFLICT:
        log.error("outcome_conflict", job=outcome.id, stored=outcome.status)
    parts.storage.delete(layout.active(outcome.id))
    log.info("job_ended", job=outcome.id, status=outcome.status, error=outcome.error)
