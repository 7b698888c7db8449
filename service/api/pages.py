"""The console: a page and its parts, served as they lie here. It asks the same API as everybody."""

from importlib.resources import files

from fastapi import APIRouter, Request, Response

from service.api.refusals import NoSuchPath
from service.contract.value import sha256_hex

router = APIRouter(include_in_schema=False)

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: Its own scripts, styles and answers, pictures that it made of answers, and nothing from elsewhere.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_FOLDER = files("service.api") / "console"
#: Read once: by name, the bytes and their sum.
_PARTS = {
    entry.name: (content := entry.read_bytes(), f'"{sha256_hex(content)}"')
    for entry in _FOLDER.iterdir()
    if entry.is_file()
}


@router.get("/")
def get_console(request: Request) -> Response:
    """The page. A proxy may put it below a folder: it names its parts relative to itself."""
    return _part("index.html", request)


@router.get("/console/{name}")
def get_part(name: str, request: Request) -> Response:
    return _part(name, request)


def _part(name: str, request: Request) -> Response:
    found = _PARTS.get(name)
    if found is None:
        raise NoSuchPath
    content, tag = found
    # Asked for at every visit and sent only after an upgrade.
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])
