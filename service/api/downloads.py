"""What a job made, over HTTP: its manifest and its shards."""

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from service.api.deps import Owner, TheOffice
from service.api.jobs import known_form
from service.contract import layout
from service.contract.errors import ObjectMissing, ShardExpired, ShardNotStored, UnknownShard
from service.contract.job import Job, Status
from service.contract.manifest import Manifest
from service.contract.recipe import Format
from service.contract.shard import Shard, shard_at
from service.lifecycle.describe import describe, read_manifest
from service.lifecycle.parts import Parts

router = APIRouter(prefix="/v1/jobs", tags=["downloads"])

MEDIA_TYPES = {Format.ZIP: "application/zip", Format.NPZ: "application/octet-stream"}
_PIECE = 1 << 20


@router.get("/{job_id}/manifest", response_model=Manifest)
def get_manifest(job_id: str, office: TheOffice, owner: Owner) -> Manifest:
    """Every shard with its size and checksums; 409 while the job has not completed."""
    return read_manifest(office.parts, known_form(job_id), owner=owner)


@router.get("/{job_id}/shards/{index}", response_class=Response)
def get_shard(job_id: str, index: int, office: TheOffice, owner: Owner) -> Response:
    """One archive: 307 to a signed URL, or its bytes where the store cannot sign. Readable once stored."""
    job = describe(office.parts, known_form(job_id), owner=owner)
    shard = _shard(job, index)
    assert job.request is not None
    key = layout.shard_of(job.request.recipe, shard)
    filename = f"{job.id}-{key.rpartition('/')[2]}"
    storage = office.parts.storage
    try:
        size = storage.head(key).size_bytes
    except ObjectMissing as error:
        raise _absent(office.parts, job, shard) from error
    url = storage.sign(key, expires_s=office.settings.signed_url_s, filename=filename)
    if url is not None:
        # A signed URL is a key for a while: nobody in between may keep it.
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return RedirectResponse(url, 307, headers=headers)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    return StreamingResponse(
        _pieces(office.parts, key), headers=headers, media_type=MEDIA_TYPES[job.request.format]
    )


def _shard(job: Job, index: int) -> Shard:
    if job.request is None:
        raise UnknownShard
    try:
        return shard_at(index, count=job.request.count, shard_size=job.request.shard_size)
    except IndexError as error:
        raise UnknownShard(str(error)) from error


def _absent(parts: Parts, job: Job, shard: Shard) -> ShardExpired | ShardNotStored:
    if job.status == Status.COMPLETED or parts.ledger.shard_is_done(job.id, shard.index):
        return ShardExpired()
    return ShardNotStored(f"shard {shard.index} is not stored; the job is {job.status}")


def _pieces(parts: Parts, key: str) -> Iterator[bytes]:
    with parts.storage.open(key) as stream:
        while piece := stream.read(_PIECE):
            yield piece
