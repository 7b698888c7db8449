"""Repair a completed job: makes broken or missing shards again, and writes them only if the bytes come back equal."""

from collections.abc import Iterator

import structlog

from service.contract import layout
from service.contract.errors import LatentmillError, ObjectExists, ObjectMissing, Unavailable
from service.contract.manifest import Manifest, ManifestShard
from service.contract.repair import RepairReport, RepairStatus
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from service.lifecycle.parts import Parts
from workers.make import Made, make_shard
from workers.shard import Studio

log = structlog.get_logger(__name__)


def repair_job(studio: Studio, job_id: str) -> None:
    """Check every shard of the manifest; restore the sha256 of each broken one, or say why that cannot be."""
    parts = studio.parts
    manifest = Manifest.model_validate_json(parts.storage.get(layout.job_manifest(job_id)))
    asked = RepairReport.model_validate_json(parts.storage.get(layout.job_repair(job_id)))
    report = asked.model_copy(update={"status": RepairStatus.RUNNING})
    _write(parts, report)
    repaired, unrepairable = [], {}
    for shard in _broken(parts, manifest):
        reason = _restore(studio, manifest, shard)
        if reason is None:
            repaired.append(shard.index)
        else:
            unrepairable[str(shard.index)] = reason
    _write(
        parts,
        report.model_copy(
            update={
                "status": RepairStatus.FAILED if unrepairable else RepairStatus.COMPLETED,
                "finished_at": parts.clock(),
                "shards_checked": len(manifest.shards),
                "repaired": tuple(repaired),
                "unrepairable": unrepairable,
            }
        ),
    )
    log.info("job_repaired", job=job_id, repaired=repaired, unrepairable=unrepairable)


def _write(parts: Parts, report: RepairReport) -> None:
    parts.storage.put(layout.job_repair(report.id), report.to_json())


def _broken(parts: Parts, manifest: Manifest) -> Iterator[ManifestShard]:
    for shard in manifest.shards:
        try:
            intact = sha256_hex(parts.storage.get(shard.key)) == shard.sha256
        except ObjectMissing:
            intact = False
        if not intact:
            yield shard


def _restore(studio: Studio, manifest: Manifest, shard: ManifestShard) -> str | None:
    """None once storage holds the manifest's bytes again; else why it does not. Changes nothing then."""
    request = manifest.request
    piece = Shard(index=shard.index, start=shard.start, stop=shard.stop)
    with studio.bodies.one() as body:
        try:
            decoder = studio.sessions.get(request.decoder, request.digest)
            made = make_shard(decoder, request, piece, body, device=studio.device)
        except Unavailable:
            raise
        except LatentmillError as error:
            return str(error)
        if made.record.sha256 != shard.sha256:
            return _why_different(manifest, shard, made)
        _replace(studio.parts, shard.key, made)
    return None


def _why_different(manifest: Manifest, shard: ManifestShard, made: Made) -> str:
    wanted, have = manifest.profiles[shard.profile], made.record.profile
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


def _replace(parts: Parts, key: str, made: Made) -> None:
    try:
        broken = parts.storage.get(key)
        parts.storage.put(layout.quarantined(key, sha256_hex(broken)), broken)
        parts.storage.delete(key)
    except ObjectMissing:
        log.info("shard_was_missing", key=key)
    try:
        parts.storage.create(key, made.data, metadata=made.record.to_metadata())
    except ObjectExists:
        log.info("shard_restored_elsewhere", key=key)
