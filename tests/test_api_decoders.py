"""Published decoders over HTTP."""

import pytest

from export.publish import publish
from tests.fixtures.api import Api
from tests.fixtures.decoders import tiny_decoder


def test_decoders_are_listed_by_name(api: Api) -> None:
    """One card for each decoder, that of its current version."""
    publish(api.parts.storage, *tiny_decoder("another", labels=("cat", "dog")))
    newer = tiny_decoder(seed=1)
    publish(api.parts.storage, *newer)
    cards = api.http.get("/v1/decoders").json()["decoders"]
    assert [card["name"] for card in cards] == ["another", "tiny"]
    assert cards[0]["labels"] == ["cat", "dog"]
    assert cards[1]["digest"] == newer[1].digest


def test_a_decoder_is_asked_for_by_name_or_by_version(api: Api) -> None:
    """The bare name is the current version; `name@digest` is that version for ever."""
    _, old = tiny_decoder()
    onnx, new = tiny_decoder(seed=1)
    publish(api.parts.storage, onnx, new)
    assert api.http.get("/v1/decoders/tiny").json()["digest"] == new.digest
    pinned = api.http.get(f"/v1/decoders/tiny@{old.digest}").json()
    assert pinned == old.model_dump(mode="json")


@pytest.mark.parametrize(
    "name", ["nobody", "Tiny", "tiny@", "tiny@x", "tiny@" + "0" * 64, "..", "..%2ftiny", "t" * 5000]
)
def test_an_unknown_decoder_is_404(api: Api, name: str) -> None:
    """Also a name that none can have."""
    answer = api.http.get(f"/v1/decoders/{name}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
