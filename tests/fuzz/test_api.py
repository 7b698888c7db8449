"""Five requests a route against the published document; `make fuzz` makes thousands, and sequences of them."""

from pathlib import Path

import pytest

from tests.fixtures.api import Api
from tests.fuzz.api import schemathesis, token_of


@pytest.mark.slow
def test_every_route_keeps_its_document(api: Api, tmp_path: Path) -> None:
    """No 5xx, no undocumented status, header or form; what the schema allows is accepted, the rest refused."""
    api.http.headers["Authorization"] = f"Bearer {token_of(api.parts.storage)}"
    document = api.http.get("/openapi.json").json()
    routes = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    # No worker draws here: `make fuzz` has one.
    told = schemathesis(
        api.http,
        tmp_path,
        jobs=[api.completed()["id"]],
        max_count=api.settings.max_count,
        examples=5,
        phases="fuzzing",
        routes=sorted(routes - {"get_image"}),
    )
    assert told.returncode == 0, told.stdout


def test_whole_numbers_may_be_spelt_as_floats(lasting: Api) -> None:
    """To JSON Schema 42.0 is an integer, and to RFC 8785 the same number as 42: one body, one job."""
    headers = {"Idempotency-Key": "whole-numbers", "Content-Type": "application/json"}
    bodies = [
        f'{{"decoder": "tiny", "label": 3, "count": {count}, "seed": {seed}, "temperature": {heat}}}'
        for count, seed, heat in [
            ("10", "42", "1"),
            ("10.0", "4.2e1", "1.0"),
            ("1E1", "42.00", "1e0"),
        ]
    ]
    answers = [lasting.http.post("/v1/jobs", content=body, headers=headers) for body in bodies]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_large_whole_number_is_not_rounded(lasting: Api) -> None:
    """Through a float a neighbour's seed would be drawn."""
    body = b'{"decoder": "tiny", "label": 3, "count": 10, "seed": 9007199254740993.0}'
    job = lasting.http.post("/v1/jobs", content=body).json()
    assert job["request"]["seed"] == 2**53 + 1


def test_a_fraction_is_no_whole_number(lasting: Api) -> None:
    """Not even one that a float cannot tell from a whole number."""
    body = b'{"decoder": "tiny", "label": 3, "count": 10.00000000000000000001}'
    assert lasting.http.post("/v1/quotes", content=body).status_code == 422


@pytest.mark.parametrize("count", ["0e" + "9" * 90, "1e-400", "1e999999999999", "-0e99"])
def test_no_spelling_of_a_number_is_an_error_of_the_server(lasting: Api, count: str) -> None:
    """Exponents beyond all bounds are faults of the request, be the number nought or not."""
    body = f'{{"decoder": "tiny", "label": 3, "count": {count}}}'
    assert lasting.http.post("/v1/quotes", content=body).status_code == 422
