"""Repair a completed job: makes broken or missing shards again, and writes them only if the bytes come back equal."""

import re
from collections.abc import Callable, Iterator

import structlog

from service.adapters.storage import exists
from service.contract import layout
from service.contract.errors import LatentmillError, ObjectMissing, Unavailable
from service.contract.manifest import Manifest, ManifestShard, Profile
from service.contract.repair import RepairReport, RepairStatus
from service.contract.request import JOB_ID
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from service.lifecycle.parts import Parts
from service.lifecycle.repair import errand_of
from workers.errand import Errand
from workers.make import Made, make_shard
from workers.shard import Studio

log = structlog.get_logger(__name__)


def repair_job(studio: Studio, job_id: str) -> None:
    """Check every shard of the manifest; restore the sha256 of each broken one, or say why that cannot be.

    Two at once are harmless. Whatever ends it too early leaves it owed, and the sweep sends it again.
    """
    parts = studio.parts
    errand = Errand(parts.ledger, errand_of(job_id), heartbeat_s=studio.heartbeat_s)
    owed = _owed(parts, job_id) if re.fullmatch(JOB_ID, job_id) else None
    if owed is None or not errand.begin():
        log.info("repair_not_begun", job=job_id[:64], owed=owed is not None)
        return
    try:
        with studio.watch.minding(errand):
            _end(parts, owed, _repaired(studio, owed, errand))
    except Unavailable as error:
        errand.forget_tries()
        log.warning("repair_waits", job=job_id, reason=error.detail)
    except Exception as error:
        # MemoryError among them: it must not leave a task. The try was counted.
        log.warning("repair_failed", job=job_id, reason=str(error) or repr(error))
    else:
        errand.forget_tries()
    finally:
        errand.end()


def _owed(parts: Parts, job_id: str) -> RepairReport | None:
    """The report that whoever asked has written; None when the repair has ended, or nobody asked."""
    try:
        return RepairReport.model_validate_json(parts.storage.get(layout.repair(job_id)))
    except ObjectMissing:
        return None


def _repaired(studio: Studio, asked: RepairReport, errand: Errand) -> RepairReport:
    if errand.is_hopeless:
        reason = f"given up: {errand.tries - 1} workers died of it"
        return _told(studio.parts, asked, unrepairable={"": reason})
    try:
        manifest = _manifest(studio.parts, asked.id)
    except ObjectMissing:
        if exists(studio.parts.storage, layout.active(asked.id)):
            # Expiry owes it to a job that was about to end when a shard went.
            raise Unavailable("the job has not ended") from None
        return _told(studio.parts, asked, unrepairable={"": "the job has no manifest"})
    _write(studio.parts, asked.model_copy(update={"status": RepairStatus.RUNNING}))
    repaired: list[int] = []
    unrepairable: dict[str, str] = {}
    for shard in _broken(studio.parts, manifest, errand.keep):
        told = _restore(studio, manifest, shard, errand.keep)
        if told is None:
            repaired.append(shard.index)
        else:
            unrepairable[str(shard.index)] = told
    return _told(
        *(studio.parts, asked),
        shards_checked=len(manifest.shards),
        repaired=tuple(repaired),
        unrepairable=unrepairable,
    )


def _manifest(parts: Parts, job_id: str) -> Manifest:
    return Manifest.model_validate_json(parts.storage.get(layout.job_manifest(job_id)))


def _told(parts: Parts, asked: RepairReport, **found: object) -> RepairReport:
    status = RepairStatus.FAILED if found["unrepairable"] else RepairStatus.COMPLETED
    return asked.model_copy(update={"status": status, "finished_at": parts.clock(), **found})


def _write(parts: Parts, report: RepairReport) -> None:
    parts.storage.put(layout.job_repair(report.id), report.to_json())


def _end(parts: Parts, owed: RepairReport, report: RepairReport) -> None:
    """The report first, the marker last; a repair that was asked for meanwhile stays owed."""
    _write(parts, report)
    if _owed(parts, owed.id) == owed:
        parts.storage.delete(layout.repair(owed.id))
    log.info(
        "job_repaired", job=owed.id, repaired=report.repaired, unrepairable=report.unrepairable
    )


def _broken(parts: Parts, manifest: Manifest, keep: Callable[[], None]) -> Iterator[ManifestShard]:
    for shard in manifest.shards:
        keep()
        if _sha256_of(parts, shard.key) != shard.sha256:
            yield shard


def _sha256_of(parts: Parts, key: str) -> str | None:
    try:
        return sha256_hex(parts.storage.get(key))
    except ObjectMissing:
        return None


def _restore(
    studio: Studio, manifest: Manifest, shard: ManifestShard, keep: Callable[[], None]
) -> str | None:
    """None once storage holds the manifest's bytes again; else why it does not. Changes nothing then."""
    request = manifest.request
    piece = Shard(index=shard.index, start=shard.start, stop=shard.stop)
    with studio.bodies.one() as body:
        try:
            decoder = studio.sessions.get(request.decoder, request.digest)
            with studio.cores.one(small=False, keep=keep) as pause:
                made = make_shard(decoder, request, piece, body, device=studio.device, keep=pause)
        except Unavailable:
            raise
        except LatentmillError as error:
            return str(error)
        if made.record.sha256 != shard.sha256:
            return _why_different(manifest.profiles[shard.profile], made.record.profile)
        _replace(studio, shard.key, made)
    if _sha256_of(studio.parts, shard.key) != shard.sha256:
        return "the store does not give back what was written"
    return None


def _why_different(wanted: Profile, have: Profile) -> str:
    differences = [
        f"{field} {getattr(wanted, field)} (here {getattr(have, field)})"
        for field in type(wanted).model_fields
        if getattr(wanted, field) != getattr(have, field)
    ]
    return (
        "made by another profile: " + ", ".join(differences)
        if differences
        else ("this worker has the same profile and makes other bytes")
    )


def _replace(studio: Studio, key: str, made: Made) -> None:
    """Keep the broken bytes for a person to look at. Written over them, so that the key is never free for others."""
    storage = studio.parts.storage
    try:
        broken = storage.get(key)
        storage.put(layout.quarantined(key, sha256_hex(broken)), broken)
    except ObjectMissing:
        log.info("shard_was_missing", key=key)
    storage.put(key, made.data, metadata=made.record.to_metadata(maker=studio.name))
