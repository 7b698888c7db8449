"""Names inside archives come from integers and the card's labels alone."""

import io
import re
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.contract.card import Label
from service.contract.recipe import Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.decoders import tiny_card, tiny_graph
from workers.archives import new_archive
from workers.body import Body

LABELS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
#: The last sample that a name of twelve digits holds lies far behind the largest job.
STARTS = st.integers(0, 10**12 // BLOCK - 1).map(lambda block: block * BLOCK)
FILE = tiny_graph(shape=(2, 2, 1))


def members(format: Format, label: str, start: int) -> tuple[list[str], list[bool]]:
    """The names in an archive of two samples, and whether each is a plain file."""
    card = tiny_card(FILE, shape=(2, 2, 1), labels=(label, *map(str, range(1000, 1009))))
    recipe = Recipe(decoder=card.digest, label=label, seed=1, format=format, shard_size=BLOCK)
    body = Body()
    archive = new_archive(recipe, Shard(index=0, start=start, stop=start + 2), card, body)
    archive.add(np.zeros((2, 2, 2, 1), np.uint8))
    archive.finish()
    stream = io.BytesIO(bytes(body.view()))
    if format == Format.ZIP:
        with zipfile.ZipFile(stream) as zipped:
            return zipped.namelist(), [not entry.is_dir() for entry in zipped.infolist()]
    with tarfile.open(fileobj=stream) as tarred:
        return tarred.getnames(), [entry.isfile() for entry in tarred.getmembers()]


@settings(max_examples=25)
@given(label=LABELS, start=STARTS)
@example(label="a" * 64, start=0)
@example(label="0", start=10**12 - 10**12 % BLOCK - BLOCK)
@example(label="CON", start=0)
def test_a_zip_has_two_kinds_of_names(label: str, start: int) -> None:
    """`{label}/{index:012d}.png` and `metadata.csv`; none leads out of its folder, none is a link."""
    names, are_files = members(Format.ZIP, label, start)
    assert names == [f"{label}/{start:012d}.png", f"{label}/{start + 1:012d}.png", "metadata.csv"]
    assert all(are_files)


@settings(max_examples=25)
@given(label=LABELS, start=STARTS)
def test_a_tars_names_are_integers(label: str, start: int) -> None:
    """`{index:012d}.png` and `.cls`; the label is in none of them."""
    names, are_files = members(Format.TAR, label, start)
    assert all(re.fullmatch(r"[0-9]{12}\.(png|cls)", name) for name in names)
    assert all(are_files)
    assert len(names) == 4


@pytest.mark.parametrize(
    "label",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", "/etc", "a\0b", "a\n", "-a", "_a", " a", "a b"),
        *("é", "a" * 65, "a.png", "%2e%2e", "C:", "\u202etxt", "３"),
    ],
)
def test_a_label_that_could_lead_elsewhere_is_none(label: str) -> None:
    """In a card, a request or a recipe: neither separator, dot, blank, control nor other script."""
    with pytest.raises(ValidationError):
        TypeAdapter(Label).validate_python(label)
