"""The OpenAPI document as one server can know it: its own decoders, jobs and limits instead of any."""

import json
from typing import Any

#: Well formed, and known to nobody.
NOBODY = "nobody-knows-this-job"


def narrowed(
    document: Any, *, decoders: list[str], labels: list[Any], jobs: list[str], max_count: int
) -> Any:
    """What the document allows and this server has: whatever still fits must be accepted.

    Without it nearly every request would ask for a decoder that is not there, and end at the first check.
    """
    document = json.loads(json.dumps(document))
    request = document["components"]["schemas"]["JobRequest"]
    request["properties"]["decoder"] = {"enum": decoders}
    request["properties"]["label"] = {"enum": labels}
    request["properties"]["count"] = {"type": "integer", "minimum": 1, "maximum": max_count}
    # Whether there are any is a setting, and each would be tried again for hours.
    request["properties"]["webhook"] = {"type": "null"}
    # A mix has labels that are there, and as few images as other jobs.
    first, second, third = (str(label) for label in labels)
    mixes = [{first: 1}, {first: 20, second: 10}, {first: 0, second: 7, third: 1000}]
    request["properties"]["labels"] = {"enum": mixes}
    # Said here alone: tools that make clients stumble over alternatives.
    document["components"]["schemas"]["JobRequest"] = {
        "anyOf": [_without(request, "labels"), _without(request, "label", "count")]
    }
    for path, method, parameter in _parameters(document):
        if parameter["name"] == "job_id" and method != "delete":
            parameter["schema"] = {"enum": [*jobs, NOBODY]}
        if (path, parameter["name"]) == ("/v1/decoders/{name}", "name"):
            parameter["schema"] = {"enum": decoders}
        if parameter["name"] == "index":
            parameter["schema"] = {"enum": [0, 1, 2, 3]}
        if path.startswith("/v1/images/") and parameter["name"] in ("decoder", "label", "seed"):
            known = {"decoder": decoders, "label": labels, "seed": ["0", str(2**63 - 1)]}
            parameter["schema"] = {"enum": known[parameter["name"]]}
        if parameter["name"] == "cursor":
            # Opaque: only the server can tell which are its own.
            parameter["schema"] = {"enum": [""]}
    return document


def _without(request: Any, *absent: str) -> Any:
    """One of the ways to say what is asked for: of `label`, `count` and `labels` all but these."""
    properties = {name: kind for name, kind in request["properties"].items() if name not in absent}
    needed = {"label", "count", "labels"} - set(absent)
    return request | {"properties": properties, "required": ["decoder", *sorted(needed)]}


def _parameters(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, parameter)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", [])
    ]
