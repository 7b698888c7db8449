"""The Croissant card of a job: over HTTP, from a folder, on the command line; `make test-readers` loads by it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from latentmill import Client

from tests.fixtures.api import Api, problem_of
from tests.fixtures.commands import here as latentmill

MIX = {"label": None, "count": None, "labels": {"3": 1500, "5": 1000}}


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.settings.port}"


def files_of(card: Any) -> list[Any]:
    return [each for each in card["distribution"] if each["@type"] == "cr:FileObject"]


@pytest.mark.parametrize("format", ["zip", "tar", "npz", "parquet"])
def test_every_archive_is_named_with_its_checksum(api: Api, tmp_path: Path, format: str) -> None:
    """Of a downloaded folder: the names lead to the files, in index order."""
    job = api.completed(**MIX, format=format)
    with Client(url_of(api)) as client:
        client.download(job["id"], tmp_path)
    card = json.loads(latentmill("croissant", str(tmp_path)).stdout)
    files = files_of(card)
    assert [each["description"] for each in files][-1] == "samples 2048 to 2499"
    for each in files:
        data = (tmp_path / each["contentUrl"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(data).hexdigest()
        assert each["contentSize"] == f"{len(data)} B"


def test_over_http_it_leads_back_to_the_api(api: Api) -> None:
    """As JSON-LD; each address answers with the archive."""
    job = api.completed(**MIX)
    answer = api.http.get(job["links"]["croissant"])
    assert answer.headers["Content-Type"] == "application/ld+json"
    card = answer.json()
    assert card["url"] == f"{url_of(api)}/v1/jobs/{job['id']}"
    assert "2,500 synthetic images of 3: 1,500, 5: 1,000" in card["description"]
    for each in files_of(card):
        archive = api.http.get(each["contentUrl"]).content
        assert hashlib.sha256(archive).hexdigest() == each["sha256"]
    told = latentmill("croissant", job["id"], url=url_of(api))
    assert json.loads(told.stdout) == card


@pytest.mark.parametrize(
    ("format", "fields"),
    [
        ("zip", {"image", "index", "label"}),
        ("tar", {"image", "index"}),
        ("npz", set()),
        ("parquet", {"image", "index", "label"}),
    ],
)
def test_it_says_what_of_a_record_can_be_read(api: Api, format: str, fields: set[str]) -> None:
    """Croissant cannot look into npz, and a tar's labels lie in files of their own."""
    job = api.completed(format=format)
    card = api.http.get(job["links"]["croissant"]).json()
    told = {field["name"] for records in card["recordSet"] for field in records["field"]}
    assert told == fields
    named = [each["@id"] for each in [*card["distribution"], *card["recordSet"]]]
    assert len(set(named)) == len(named)


def test_an_unfinished_job_has_none(api: Api) -> None:
    """As with its manifest, of which the card is made."""
    job = api.accepted()
    assert "croissant" not in job["links"]
    problem_of(api.http.get(f"/v1/jobs/{job['id']}/croissant"), status=409, slug="job-unfinished")
    problem_of(api.http.get("/v1/jobs/no-such-job/croissant"), status=404, slug="unknown-job")


def test_a_folder_without_a_job_is_one_line(tmp_path: Path) -> None:
    """Nothing is guessed."""
    told = latentmill("croissant", str(tmp_path))
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
