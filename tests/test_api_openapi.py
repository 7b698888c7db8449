"""The published OpenAPI document: valid, complete, and true of the server."""

from collections.abc import Iterator
from typing import Any

import openapi_spec_validator
import pytest

from service.contract.request import JobRequest
from tests.fixtures.api import PROBLEM, Api

#: DESIGN's routes, but for those that later issues add.
ROUTES = {
    "POST /v1/jobs": {"202", "408", "413", "422", "429", "503"},
    "GET /v1/jobs": {"200", "422", "503"},
    "GET /v1/jobs/{job_id}": {"200", "404", "503"},
    "DELETE /v1/jobs/{job_id}": {"204", "404", "409", "503"},
    "POST /v1/jobs/{job_id}/cancel": {"202", "404", "409", "503"},
    "GET /v1/jobs/{job_id}/manifest": {"200", "404", "409", "503"},
    "GET /v1/jobs/{job_id}/croissant": {"200", "404", "409", "503"},
    "GET /v1/jobs/{job_id}/shards/{index}": {
        *("200", "206", "307", "404", "409", "410", "416", "503")
    },
    "GET /v1/jobs/{job_id}/shards/{index}/link": {"200", "404", "409", "410", "503"},
    "GET /v1/jobs/{job_id}/labels": {"200", "404", "422", "503"},
    "GET /v1/jobs/{job_id}/estimate": {"200", "404", "503"},
    "GET /v1/fleet": {"200", "503"},
    "POST /v1/jobs/{job_id}/repair": {"202", "404", "409", "503"},
    "GET /v1/jobs/{job_id}/repair": {"200", "404", "503"},
    "GET /v1/jobs/{job_id}/events": {"200", "204", "404", "503"},
    "GET /v1/jobs/{job_id}/webhook": {"200", "404", "503"},
    "POST /v1/jobs/{job_id}/webhook/redeliver": {"202", "404", "409", "503"},
    "POST /v1/quotes": {"200", "408", "413", "422", "503"},
    "GET /v1/images/{decoder}/{label}/{seed}/{index}.png": {"200", "304", "422", "503"},
    "GET /v1/decoders": {"200", "503"},
    "GET /v1/decoders/{name}": {"200", "404", "503"},
    "GET /livez": {"200"},
    "GET /readyz": {"200", "503"},
    "GET /metrics": {"200"},
}

#: Routes that answer whoever asks.
OPEN = {"GET /livez", "GET /readyz"}
#: What every other route may answer to a key that is missing or wrong, lacks a scope, or was wrong too often.
REFUSED_KEYS = {"401", "403", "429"}


@pytest.fixture(scope="module")
def document(lasting: Api) -> Any:
    answer = lasting.http.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    for child in part if isinstance(part, list) else []:
        yield from references(child)


def test_the_document_is_valid(document: Any) -> None:
    """Tools that generate clients can read it."""
    openapi_spec_validator.validate(document)


def test_every_reference_leads_somewhere(document: Any) -> None:
    """And every schema is used by somebody."""
    named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == named


def test_every_route_and_its_answers_are_documented(document: Any) -> None:
    """The list above is the face; a route or an answer that changes must change it knowingly."""
    found = {
        name: set(operation["responses"]) - {"default"} for name, operation in operations(document)
    }
    assert found == {
        name: answers | (set() if name in OPEN else REFUSED_KEYS)
        for name, answers in ROUTES.items()
    }


def test_every_route_but_health_names_the_key(document: Any) -> None:
    """Generated clients send it; without keys none is asked for, and the document says that too."""
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for name, operation in operations(document):
        needed = [set(way) for way in operation.get("security", [])]
        assert needed == ([] if name in OPEN else [{"key"}, set()]), name


def test_every_refusal_is_a_problem(document: Any) -> None:
    """One form for all errors, also for those that a route does not name."""
    for name, operation in operations(document):
        assert "default" in operation["responses"], name
        for status, answer in operation["responses"].items():
            if status == "default" or status >= "400":
                schema = answer["content"][PROBLEM]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (name, status)
                assert list(answer["content"]) == [PROBLEM]


def test_refusals_that_pass_say_when_to_come_back(document: Any) -> None:
    """Clients that are generated can wait."""
    for name, operation in operations(document):
        for status in {"429", "503"} & set(operation["responses"]):
            assert "Retry-After" in operation["responses"][status]["headers"], name
    limited = document["paths"]["/v1/jobs"]["post"]["responses"]["429"]["headers"]
    assert {"RateLimit", "RateLimit-Policy"} <= set(limited)


def test_operations_have_short_names_of_their_own(document: Any) -> None:
    """Generated clients call their methods by these."""
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert {"submit_job", "get_job", "get_shard", "quote_job"} <= set(names)
    assert all(operation["summary"] for _, operation in operations(document))
    assert all(operation["description"] for _, operation in operations(document))


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/quotes"])
def test_the_body_is_described_with_examples_that_are_accepted(document: Any, path: str) -> None:
    """What the document shows passes the check that it describes."""
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/JobRequest"}
    examples = [example["value"] for example in content["examples"].values()]
    assert len(examples) >= 2
    for example in examples:
        JobRequest.model_validate(example)


def test_the_request_schema_is_closed(document: Any) -> None:
    """It lists every field of the contract and allows no other."""
    schema = document["components"]["schemas"]["JobRequest"]
    assert set(schema["properties"]) == set(JobRequest.model_fields)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"decoder"}


def test_headers_and_parameters_are_documented(document: Any) -> None:
    """The ones that a client needs to be safe: the key and the wait of a submit, the range of a download."""
    submit = document["paths"]["/v1/jobs"]["post"]
    assert [item["name"] for item in submit["parameters"]] == ["Idempotency-Key", "Prefer"]
    assert {"Location", "Retry-After"} <= set(submit["responses"]["202"]["headers"])
    shard = document["paths"]["/v1/jobs/{job_id}/shards/{index}"]["get"]
    assert {item["name"] for item in shard["parameters"]} == {
        *("job_id", "index", "Range", "If-Range")
    }
    listing = document["paths"]["/v1/jobs"]["get"]
    assert {item["name"] for item in listing["parameters"]} == {"status", "tag", "limit", "cursor"}
