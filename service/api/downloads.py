"""What a job made, over HTTP: its manifest, its shards, and the labels of its samples."""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from service.adapters.storage import Storage, StoredObject
from service.api.callers import Caller, Reader
from service.api.deps import Office, TheOffice
from service.api.links import address, known_form
from service.api.problems import documented
from service.api.ranges import ByteRange, asked_range, pieces
from service.api.refusals import RangeUnsatisfiable
from service.contract import layout
from service.contract.croissant import croissant_of
from service.contract.errors import (
    JobUnfinished,
    ObjectMissing,
    RequestInvalid,
    ShardExpired,
    ShardNotStored,
    Unavailable,
    UnknownJob,
    UnknownShard,
)
from service.contract.job import Job, Status
from service.contract.manifest import Manifest
from service.contract.recipe import MEDIA_TYPES
from service.contract.shard import Shard, shard_at
from service.contract.value import Value
from service.lifecycle.describe import describe, read_manifest
from service.lifecycle.parts import Parts

router = APIRouter(prefix="/v1/jobs", tags=["downloads"])


class ShardLink(Value):
    """A signed URL of one archive; `url` is null where the store cannot sign, and the bytes are read from here."""

    url: str | None
    expires_s: int | None


class Labels(Value):
    """The labels of samples `start` and on; "" for a decoder without labels."""

    start: int
    labels: list[str]


_BYTES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}
_SHARD: dict[int | str, dict[str, Any]] = {
    200: {"description": "The archive, when the store cannot sign", "content": _BYTES},
    206: {"description": "The bytes that `Range` asked for", "content": _BYTES},
    307: {
        "description": "A signed URL that lives for minutes",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
    },
    **documented(
        UnknownJob, UnknownShard, ShardNotStored, ShardExpired, RangeUnsatisfiable, Unavailable
    ),
}


@router.get(
    "/{job_id}/manifest",
    response_model=Manifest,
    responses=documented(UnknownJob, JobUnfinished, Unavailable),
)
def get_manifest(job_id: str, office: TheOffice, caller: Reader) -> Manifest:
    """Every shard with its size and checksums; 409 while the job has not completed."""
    return read_manifest(office.parts, known_form(job_id), owner=caller.owner)


class _JsonLd(JSONResponse):
    media_type = "application/ld+json"


@router.get(
    "/{job_id}/croissant",
    response_class=_JsonLd,
    responses=documented(UnknownJob, JobUnfinished, Unavailable),
)
def get_croissant(job_id: str, request: Request, office: TheOffice, caller: Reader) -> _JsonLd:
    """The job as a data set, in Croissant 1.0: every archive with its checksum, and how its records are read."""
    manifest = read_manifest(office.parts, known_form(job_id), owner=caller.owner)
    # As the client reached us: a proxy in front says by its headers what that was.
    here = str(request.base_url).rstrip("/") + address(manifest.id)
    return _JsonLd(croissant_of(manifest, lambda shard: f"{here}/shards/{shard.index}", url=here))


@router.get("/{job_id}/shards/{index}", response_class=Response, responses=_SHARD)
def get_shard(
    job_id: str,
    index: int,
    office: TheOffice,
    caller: Reader,
    asked: Annotated[str, Header(alias="Range")] = "",
    asked_if: Annotated[str, Header(alias="If-Range")] = "",
) -> Response:
    """One archive: 307 to a signed URL, or its bytes where the store cannot sign. Readable once stored."""
    archive = _found(office, caller, job_id, index)
    if archive.url is not None:
        # A signed URL is a key for a while: no page may pass it on. (No answer is cached anyway.)
        return RedirectResponse(archive.url, 307, headers={"Referrer-Policy": "no-referrer"})
    headers = _headers(archive.stored, archive.filename)
    if asked_if not in ("", headers.get("ETag")):
        asked = ""
    return _bytes(office.parts.storage, archive.stored, asked, headers, archive.media_type)


@router.get(
    "/{job_id}/shards/{index}/link",
    response_model=ShardLink,
    responses=documented(UnknownJob, UnknownShard, ShardNotStored, ShardExpired, Unavailable),
)
def get_shard_link(job_id: str, index: int, office: TheOffice, caller: Reader) -> ShardLink:
    """Where one archive can be read without a key for a while: for pages, which may not see where a redirect leads."""
    url = _found(office, caller, job_id, index).url
    return ShardLink(url=url, expires_s=None if url is None else office.settings.signed_url_s)


@router.get(
    "/{job_id}/labels",
    response_model=Labels,
    responses=documented(UnknownJob, RequestInvalid, Unavailable),
)
def get_labels(
    job_id: str,
    office: TheOffice,
    caller: Reader,
    start: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Labels:
    """Which label each sample of the job has, from `start` on: for mixes."""
    request = describe(office.parts, known_form(job_id), owner=caller.owner).request
    if request is None:
        return Labels(start=start, labels=[])
    stop = min(start + limit, request.count)
    return Labels(start=start, labels=request.recipe.labels_between(start, max(start, stop)))


class _Archive(NamedTuple):
    """One stored shard of a job. `url` is None where the store cannot sign."""

    stored: StoredObject
    filename: str
    media_type: str
    url: str | None


def _found(office: Office, caller: Caller, job_id: str, index: int) -> _Archive:
    job = describe(office.parts, known_form(job_id), owner=caller.owner)
    shard = _shard(job, index)
    assert job.request is not None
    key, storage = layout.shard_of(job.request.recipe, shard), office.parts.storage
    try:
        stored = storage.head(key)
    except ObjectMissing as error:
        raise _absent(office.parts, job, shard) from error
    filename = f"{job.id}-{key.rpartition('/')[2]}"
    url = storage.sign(key, expires_s=office.settings.signed_url_s, filename=filename)
    return _Archive(stored, filename, MEDIA_TYPES[job.request.format], url)


def _shard(job: Job, index: int) -> Shard:
    if job.request is None:
        raise UnknownShard
    try:
        return shard_at(index, count=job.request.count, shard_size=job.request.shard_size)
    except IndexError as error:
        raise UnknownShard(str(error)) from error


def _absent(parts: Parts, job: Job, shard: Shard) -> ShardExpired | ShardNotStored:
    if job.status == Status.COMPLETED:
        expired = ShardExpired()
        expired.repair = f"{address(job.id)}/repair"
        return expired
    if parts.ledger.shard_is_done(job.id, shard.index):
        return ShardExpired(
            "the shard was stored and is gone; the job makes it again if it completes"
        )
    return ShardNotStored(f"shard {shard.index} is not stored; the job is {job.status}")


def _headers(stored: StoredObject, filename: str) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    if "sha256" in stored.metadata:
        headers["ETag"] = f'"{stored.metadata["sha256"]}"'
    return headers


def _bytes(
    storage: Storage, stored: StoredObject, asked: str, headers: dict[str, str], media_type: str
) -> Response:
    part = asked_range(asked, stored.size_bytes)
    status = 200 if part is None else 206
    if part is None:
        part = ByteRange(0, stored.size_bytes, stored.size_bytes)
    else:
        headers["Content-Range"] = part.content_range
    headers["Content-Length"] = str(part.length)
    return StreamingResponse(_read(storage, stored.key, part), status, headers, media_type)


def _read(storage: Storage, key: str, part: ByteRange) -> Iterator[bytes]:
    with storage.open(key) as stream:
        yield from pieces(stream, part)
