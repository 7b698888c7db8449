"""What `/openapi.json` says beyond what the framework finds out by itself."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.api.problems import MEDIA_TYPE, Problem
from service.contract.request import JobRequest

_REF = "#/components/schemas/{model}"

#: The body is read by hand, to count its bytes and to tell every fault at once.
JOB_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": _REF.format(model="JobRequest")},
                "examples": {
                    "one label": {
                        "value": {"decoder": "mnist", "label": 3, "count": 1000, "seed": 42}
                    },
                    "arrays, with a seed too large for JavaScript": {
                        "value": {
                            "decoder": "mnist",
                            "label": "7",
                            "count": 65536,
                            "seed": "9223372036854775807",
                            "format": "npz",
                            "temperature": 0.8,
                        }
                    },
                },
            }
        },
    }
}

#: Every route may answer with a problem that it does not name.
ANY_PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Any other refusal",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
}


def describe_for_machines(app: FastAPI) -> None:
    """Give the application an OpenAPI document in which every reference leads somewhere."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way of replacing it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, defined = models_json_schema(
        [(JobRequest, "validation"), (Problem, "serialization")], ref_template=_REF
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            if "security" in operation:
                # A deployment without keys asks nobody for one.
                operation["security"].append({})
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = dict(sorted((defined["$defs"] | schemas).items()))
    return document
