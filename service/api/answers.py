"""Makes every error leave the API as a problem, the framework's own ones too."""

import re

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api.problems import problem_of, problem_of_status
from service.api.refusals import NoSuchPath
from service.contract.errors import Fault, LatentmillError, RequestInvalid


def answer_problems(app: FastAPI) -> None:
    @app.exception_handler(LatentmillError)
    async def told(_: Request, error: LatentmillError) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem_of(_in_our_words(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if "Allow" in headers:
            headers["Allow"] = _allowed(app, request.url.path)
        return problem_of_status(error.status_code, str(error.detail), headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(*_: object) -> Response:
        # Nobody reads it; without it the log would tell of a fault of ours.
        return problem_of_status(400, "the client went away", {})


def _in_our_words(error: RequestValidationError) -> LatentmillError:
    """The faults of parameters; a path that cannot be is an address that nothing has."""
    items = error.errors()
    if any(item["loc"][0] == "path" for item in items):
        return NoSuchPath()
    return RequestInvalid(
        # ("query", name, place in a list)
        [Fault(f"/{item['loc'][1]}", _plain(item["type"], item["msg"])) for item in items]
    )


def _plain(kind: str, message: str) -> str:
    return "unknown parameter" if kind == "extra_forbidden" else message


def _allowed(app: FastAPI, path: str) -> str:
    """Every method of this address: the framework names those of one route only."""
    return ", ".join(
        sorted(
            method.upper()
            for template, operations in app.openapi()["paths"].items()
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
            for method in operations
        )
    )
