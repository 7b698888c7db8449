"""What two jobs share, by their requests: held against the labels themselves and against images that were made."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from latentmill import Client, Overlap

from service.contract.overlap import overlap_of
from service.contract.request import ResolvedRequest
from tests.fixtures.api import Api
from tests.fixtures.commands import latentmill


def request(**fields: Any) -> ResolvedRequest:
    usual = {
        "decoder": "tiny",
        "digest": "0" * 64,
        "label": "3",
        "count": 5000,
        "seed": 7,
        "temperature_milli": 1000,
        "format": "zip",
        "compression": "fast",
        "shard_size": 1024,
    }
    if "labels" in fields:
        fields |= {"label": None, "count": sum(fields["labels"].values())}
    return ResolvedRequest.model_validate(usual | fields)


@pytest.mark.parametrize(
    ("fields", "latents", "images"),
    [
        ({}, 5000, 5000),
        ({"count": 1200, "format": "npz", "shard_size": 2048, "compression": "small"}, 1200, 1200),
        ({"seed": 8}, 0, 0),
        ({"digest": "1" * 64}, 0, 0),
        ({"label": "4"}, 5000, 0),
        ({"temperature_milli": 700}, 5000, 0),
        # Of every four, three are a 3.
        ({"labels": {"3": 3000, "5": 1000}}, 4000, 3000),
        ({"labels": {"5": 4000}}, 4000, 0),
    ],
)
def test_what_is_shared(fields: dict[str, Any], latents: int, images: int) -> None:
    """Decoder and seed decide the latents; temperature and label the image; storing decides nothing."""
    expected = Overlap(latents=latents, images=images)
    assert overlap_of(request(), request(**fields)) == expected
    assert overlap_of(request(**fields), request()) == expected


mixes = st.dictionaries(st.sampled_from("0123"), st.integers(1, 40), min_size=1)


@given(one=mixes, other=mixes)
def test_mixes_share_what_their_labels_say(one: dict[str, int], other: dict[str, int]) -> None:
    """Sample by sample, over as many as both have, also where one repeats."""
    first, second = request(labels=one), request(labels=other)
    shared = min(first.count, second.count)
    labels = (each.recipe.labels_between(0, shared) for each in (first, second))
    same = sum(a == b for a, b in zip(*labels, strict=True))
    assert overlap_of(first, second) == Overlap(latents=shared, images=same)


def test_jobs_share_those_images(api: Api) -> None:
    """The images that are told to be shared are equal, and the client and the command tell the same."""
    url = f"http://127.0.0.1:{api.settings.port}"
    with Client(url) as client:
        one = client.job(api.completed(count=2000)["id"])
        mixed = client.job(api.completed(labels={"3": 500, "4": 500}, label=None, count=None)["id"])
        other = client.job(api.completed(count=2000, seed=43)["id"])
        assert client.overlap(one, mixed) == Overlap(latents=1000, images=500)
        ours, theirs = client.arrays(one).images[:1000], client.arrays(mixed).images
        assert int(np.all(ours == theirs, axis=(1, 2, 3)).sum()) == 500
        assert client.overlap(one, other.id) == Overlap(latents=0, images=0)
    told = latentmill("overlap", one.id, mixed.id, url=url)
    assert (told.returncode, told.stderr) == (1, "")
    assert told.stdout == "500 images are in both; 1,000 samples share their latents\n"
    told = latentmill("overlap", one.id, other.id, url=url)
    assert (told.returncode, told.stdout) == (0, "disjoint: no image of one is in the other\n")
    told = latentmill("overlap", one.id, "nothing-here", url=url)
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
