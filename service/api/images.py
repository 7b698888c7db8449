"""Single images over HTTP: any sample of any request, with or without a job."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from service.api.callers import Reader
from service.api.deps import TheOffice
from service.api.problems import documented
from service.contract.errors import RequestInvalid, SampleLate, Unavailable
from service.contract.recipe import MAX_SEED
from service.contract.sample import MAX_INDEX, NO_LABEL
from service.contract.value import sha256_hex
from service.lifecycle.sample import draw_sample, sample_request

router = APIRouter(prefix="/v1/images", tags=["images"])

#: Pinned by digest, an address has one image for ever; the bare name's image changes with the current decoder.
_FOR_EVER, _FOR_NOW = "private, max-age=31536000, immutable", "private, no-cache"

_ETAG = {"ETag": {"description": "sha256 of the file.", "schema": {"type": "string"}}}
_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image, as a zip archive with `compression: fast` holds it",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        "headers": _ETAG,
    },
    304: {"description": "The image is the one that `If-None-Match` names", "headers": _ETAG},
    **documented(RequestInvalid, SampleLate, Unavailable),
}


def _written(pattern: str) -> dict[str, Any]:
    return {"pattern": pattern}


@router.get(
    "/{decoder}/{label}/{seed}/{index}.png",
    response_class=Response,
    responses=_IMAGE,
)
async def get_image(
    decoder: Annotated[
        str, Path(description="`name`, or `name@digest` for an image that never changes.")
    ],
    label: Annotated[
        str, Path(description=f"One of the decoder's labels; `{NO_LABEL}` if it has none.")
    ],
    seed: Annotated[
        str,
        Path(description=f"0 to {MAX_SEED}.", json_schema_extra=_written("^(0|[1-9][0-9]{0,18})$")),
    ],
    index: Annotated[
        str, Path(description=f"0 to {MAX_INDEX}.", json_schema_extra=_written("^[0-9]{1,12}$"))
    ],
    office: TheOffice,
    _: Reader,
    temperature: Annotated[
        float, Query(json_schema_extra={"minimum": 0.001, "maximum": 2, "multipleOf": 0.001})
    ] = 1.0,
    seen: Annotated[str, Header(alias="If-None-Match")] = "",
) -> Response:
    """Sample `index` of every request with this decoder, label, seed and temperature, before or after any job ran."""
    asked = await run_in_threadpool(
        sample_request,
        office.parts.storage,
        decoder=decoder,
        label=label,
        seed=seed,
        index=index,
        temperature=temperature,
    )
    loop = asyncio.get_running_loop()
    png = await loop.run_in_executor(office.waiters, draw_sample, office.parts, asked)
    query = "" if temperature == 1.0 else f"?temperature={temperature}"
    pinned = f"{asked.decoder}@{asked.digest}/{label}/{seed}/{index}.png{query}"
    headers = {
        "ETag": f'"{sha256_hex(png)}"',
        "Cache-Control": _FOR_EVER if "@" in decoder else _FOR_NOW,
        "Content-Location": f"/v1/images/{pinned}",
    }
    if headers["ETag"] in [tag.strip().removeprefix("W/") for tag in seen.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(png, headers=headers, media_type="image/png")
