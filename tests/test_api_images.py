"""`GET /v1/images/…`: any sample alone, by a real worker; the same bytes as in every archive that holds it."""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from latentmill import Client
from latentmill.errors import RequestInvalid

from export.publish import publish
from service.contract.sample import MAX_INDEX
from service.contract.value import sha256_hex
from service.lifecycle.sample import WAIT_S
from tests.fixtures.api import Api, pointers, problem_of
from tests.fixtures.commands import here
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.fleet import Fleet
from workers.sample import answer_sample
from workers.shard import Studio


def member(fleet: Fleet, body: dict[str, Any], index: int) -> bytes:
    """The sample's file in the archives of a job that ran."""
    job = fleet.wait(fleet.submit(**body))
    assert job.request is not None
    file = fleet.shard_files(job)[index // job.request.shard_size]
    folder = f"{body['label']}/" if body.get("label") is not None else ""
    with ZipFile(file) as archive:
        return archive.read(f"{folder}{index:012d}.png")


def image(fleet: Fleet, path: str, **headers: str) -> httpx.Response:
    """The answer; asked for again as it says while this machine is too busy for the worker."""
    for _ in range(20):
        answer = fleet.http.get(path, headers=headers)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    assert answer.status_code in (httpx.codes.OK, httpx.codes.NOT_MODIFIED), answer.text
    return answer


def address(body: dict[str, Any], index: int) -> str:
    label = "-" if body.get("label") is None else body["label"]
    query = f"?temperature={body['temperature']}" if "temperature" in body else ""
    return f"/v1/images/{body['decoder']}/{label}/{body['seed']}/{index}.png{query}"


@pytest.fixture
def served(fleet: Fleet) -> Fleet:
    """A worker, and beside the usual decoders one in colour and one without labels."""
    publish(fleet.storage, *tiny_decoder("rgb", shape=(9, 7, 3)))
    publish(fleet.storage, *tiny_decoder("bare", labels=()))
    return fleet


@pytest.mark.slow
def test_any_image_is_its_archive_member(served: Fleet) -> None:
    """200 random (job, index), byte for byte, before the job ran and after: grey, RGB, without labels, cooled."""
    chance = random.Random(6)
    bodies: list[dict[str, Any]] = [
        {"decoder": name, "label": label, "count": 2500, "seed": chance.randrange(2**63)} | more
        for name, label in (("tiny", "3"), ("large", "7"), ("rgb", "0"), ("bare", None))
        for more in ({}, {"temperature": 0.7})
    ]
    for body in bodies:
        indexes = [0, 2499, *chance.sample(range(2500), 23)]
        before = [image(served, address(body, index)) for index in indexes]
        made = [member(served, body, index) for index in indexes]
        after = [image(served, address(body, index)) for index in indexes]
        assert [answer.content for answer in before] == made == [a.content for a in after]


def test_an_image_pinned_by_digest_never_changes(served: Fleet) -> None:
    """It may be kept for ever; the bare name's is asked for again, and tells the pinned address."""
    _, card = tiny_decoder()
    pinned = image(served, f"/v1/images/tiny@{card.digest}/3/42/5.png")
    bare = image(served, "/v1/images/tiny/3/42/5.png")
    assert pinned.content == bare.content
    assert pinned.headers["Content-Type"] == "image/png"
    assert pinned.headers["ETag"] == bare.headers["ETag"] == f'"{sha256_hex(bare.content)}"'
    assert "immutable" in pinned.headers["Cache-Control"]
    assert bare.headers["Cache-Control"] == "private, no-cache"
    assert image(served, bare.headers["Content-Location"]).content == bare.content
    cooled = image(served, "/v1/images/tiny/3/42/5.png?temperature=0.5")
    assert image(served, cooled.headers["Content-Location"]).content == cooled.content
    assert cooled.content != bare.content
    tags = f'"x", {bare.headers["ETag"]}'
    seen = image(served, "/v1/images/tiny/3/42/5.png", **{"If-None-Match": tags})
    assert (seen.status_code, seen.content) == (304, b"")


def test_the_last_index_of_all_has_an_image(served: Fleet) -> None:
    """Nothing is drawn on the way there."""
    answer = image(served, f"/v1/images/tiny/3/9223372036854775807/{MAX_INDEX}.png")
    assert answer.content.startswith(b"\x89PNG")


def test_an_image_does_not_wait_for_bulk_work(served: Fleet) -> None:
    """While every slot makes shards of a large job."""
    giant = served.submit(decoder="large", compression="small", count=200_000)
    served.run_into_the_middle(giant)
    for index in range(10):
        assert image(served, f"/v1/images/large/3/1/{index}.png").content
    assert not served.look(giant).status.is_terminal
    served.http.post(f"/v1/jobs/{giant.id}/cancel")
    served.wait(giant)


def test_client_and_command_line(served: Fleet, tmp_path: Path) -> None:
    """Both give the file; what cannot be is one line that names every fault."""
    url, asked = str(served.http.base_url), {"seed": 42, "index": 17}
    with Client(url) as client:
        png = client.image("tiny", 3, **asked)
        assert png == member(served, {"decoder": "tiny", "label": 3, "count": 100, "seed": 42}, 17)
        assert client.image("bare", seed="42", index=0, temperature=0.5).startswith(b"\x89PNG")
        with pytest.raises(RequestInvalid):
            client.image("tiny", "../3", seed=42, index=0)
    told = here(
        "image",
        "tiny",
        "3",
        "--seed",
        "42",
        "--index",
        "17",
        "--to",
        str(tmp_path / "a.png"),
        url=url,
    )
    assert (told.returncode, told.stdout.strip()) == (0, str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes() == png
    wrong = here("image", "tiny", "nine", "--seed", "42", url=url)
    assert (wrong.returncode, "/label" in wrong.stderr) == (2, True)
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("path", "faults"),
    [
        ("tiny/nine/42/0.png", ["/label"]),
        ("tiny/-/42/0.png", ["/label"]),
        ("tiny/3/-1/0.png", ["/seed"]),
        ("tiny/3/9223372036854775808/0.png", ["/seed"]),
        ("tiny/3/42/-1.png", ["/index"]),
        ("tiny/3/42/1000000000000.png", ["/index"]),
        ("tiny/3/42/٣.png", ["/index"]),
        ("nobody/3/42/0.png", ["/decoder"]),
        ("tiny@/3/42/0.png", ["/decoder"]),
        ("tiny/3/42/0.png?temperature=0", ["/temperature"]),
        ("tiny/3/42/0.png?temperature=nan", ["/temperature"]),
        ("tiny/3/x/y.png?temperature=3", ["/index", "/seed", "/temperature"]),
    ],
)
def test_every_fault_is_told_at_once(api: Api, path: str, faults: list[str]) -> None:
    """As of a job's request."""
    assert pointers(api.http.get(f"/v1/images/{path}")) == faults


def test_without_a_worker_nobody_waits(api: Api) -> None:
    """503 at once, and no message that a worker would find later."""
    answer = api.http.get("/v1/images/tiny/3/42/0.png")
    problem_of(answer, status=503, slug="sample-late")
    assert answer.elapsed.total_seconds() < WAIT_S
    assert int(answer.headers["Retry-After"]) > 0


@dataclass
class Asked:
    """A message as the API sends it, and the reply to it."""

    studio: Studio

    def message(self, **other: object) -> dict[str, Any]:
        _, card = tiny_decoder()
        plain = {"decoder": "tiny", "digest": card.digest, "label": "3", "seed": 42}
        plain |= {"temperature_milli": 1000, "index": 0, "reply": "a" * 32}
        return plain | other

    def reply(self) -> str | None:
        return self.studio.parts.ledger.replies.wait("a" * 32, for_s=0.1)


@pytest.fixture
def asked(studio: Studio) -> Asked:
    return Asked(studio)


def test_who_stopped_waiting_is_not_answered(asked: Asked) -> None:
    """A worker that comes late draws nothing; one that comes in time answers once."""
    answer_sample(asked.studio, asked.message())
    assert asked.reply() is None
    asked.studio.parts.ledger.replies.expect("a" * 32, for_s=5)
    answer_sample(asked.studio, asked.message())
    told = asked.reply()
    assert '"png"' in (told or "")
    assert asked.reply() is None


@pytest.mark.parametrize(
    "wrong", [{"index": -1}, {"seed": 2**63}, {"reply": "../x"}, {"label": "a/b"}, {"more": 1}]
)
def test_a_message_may_hold_anything(asked: Asked, wrong: dict[str, object]) -> None:
    """What is none is recorded and answered by nobody."""
    asked.studio.parts.ledger.replies.expect("a" * 32, for_s=5)
    answer_sample(asked.studio, asked.message(**wrong))
    assert asked.reply() is None


def test_a_decoder_that_cannot_be_loaded_is_told(asked: Asked) -> None:
    """The asker hears it at once and does not wait the time out."""
    asked.studio.parts.ledger.replies.expect("a" * 32, for_s=5)
    answer_sample(asked.studio, asked.message(digest="0" * 64))
    told = asked.reply()
    assert '"error"' in (told or "")
