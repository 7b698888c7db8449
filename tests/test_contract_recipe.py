"""The recipe's digest names the shards: its values are fixed, and every field is in it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.faults import parse_request
from service.contract.recipe import MAX_SEED, Compression, Format, Recipe
from service.contract.request import resolve
from service.contract.value import canonical_json, sha256_hex
from tests.fixtures.cards import card_of

DIGEST = "a" * 64
RECIPE = Recipe(decoder=DIGEST, label="3", seed=42, format=Format.ZIP, shard_size=16_384)


def test_the_digest_is_the_sha256_of_the_rfc_8785_form() -> None:
    """Sorted keys, no white space, no floats; the seed a string: numbers end at 2**53."""
    spelled = (
        '{"compression":"fast","contract":1,"decoder":"' + DIGEST + '","format":"zip","label":"3",'
        '"seed":"42","shard_size":16384,"temperature_milli":1000}'
    )
    assert RECIPE.digest == sha256_hex(spelled.encode())


def changed(**fields: Any) -> Recipe:
    return Recipe(**{**dict(RECIPE), **fields})


@pytest.mark.parametrize(
    ("recipe", "digest"),
    [
        (RECIPE, "041ed853c177c977560e5c733edcbfa7cddc77e612296b698d229557a7add5fc"),
        (changed(label=None), "e8481b4f8b15f409876003c47349c885606f04c55d4488c12f9017ef5f34f337"),
        (
            changed(label=None, labels={"3": 2, "8": 1}),
            "1bc3c5b58cb4f72bff41bfce01d63b5048f6c526cdb4521930fcc660869d3608",
        ),
        (
            changed(seed=MAX_SEED),
            "71ea567976f7dabd04ed811f0f8d96777b6f38d479b58ba173db7a3658bb5ac9",
        ),
        (
            changed(format=Format.NPZ, compression=Compression.NONE, temperature_milli=600),
            "74bd4fd242595fc5462e6664a65c5c36fd6682d2ac0eaf800bbb22733ee145e7",
        ),
    ],
)
def test_golden_digests(recipe: Recipe, digest: str) -> None:
    """A digest never changes within a contract version: shards stored years ago are found again."""
    assert recipe.digest == digest


CHANGES = {
    "contract": 2,
    "decoder": "b" * 64,
    "label": "4",
    "labels": {"3": 1, "4": 2},
    "seed": 43,
    "temperature_milli": 999,
    "format": Format.NPZ,
    "compression": Compression.SMALL,
    "shard_size": 1024,
}


@pytest.mark.parametrize("field", sorted(Recipe.model_fields))
def test_every_field_changes_the_digest(field: str) -> None:
    """What decides a byte decides the key, so no two different archives share one."""
    label = {"label": None} if field == "labels" else {}
    assert changed(**label, **{field: CHANGES[field]}).digest != RECIPE.digest


@given(seed=st.integers(0, MAX_SEED - 1))
def test_neighbouring_seeds_are_two_recipes(seed: int) -> None:
    """Also above 2**53, where a JSON reader that goes through floats sees one number."""
    assert changed(seed=seed).digest != changed(seed=seed + 1).digest


@pytest.mark.parametrize("label", [3, "3"])
@pytest.mark.parametrize("seed", [42, "42"])
def test_numbers_and_their_strings_are_one_recipe(label: int | str, seed: int | str) -> None:
    """`3` and `"3"`, `42` and `"42"` ask for the same shards."""
    request = parse_request({"decoder": "mnist", "label": label, "count": 10, "seed": seed})
    assert resolve(request, card_of(digest=DIGEST), drawn_seed=0).recipe == RECIPE


@given(count=st.integers(1, 10**9))
def test_the_count_is_not_in_the_recipe(count: int) -> None:
    """A longer job shares the shards of a shorter one."""
    request = parse_request({"decoder": "mnist", "label": 3, "count": count, "seed": 42})
    assert resolve(request, card_of(digest=DIGEST), drawn_seed=0).recipe == RECIPE


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"seed": True},
        {"temperature_milli": 0},
        {"temperature_milli": 2001},
        {"shard_size": 1000},
        {"shard_size": 64 * 1024},
        {"decoder": "A" * 64},
        {"label": "../3"},
        {"label": ".hidden"},
        {"colour": "red"},
    ],
)
def test_a_recipe_outside_the_contract_cannot_be_made(wrong: dict[str, Any]) -> None:
    """The type itself refuses what has no key."""
    with pytest.raises(ValidationError):
        changed(**wrong)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(max_codepoint=126)),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=126)), inner)
    ),
)


@given(value=values)
def test_canonical_json_is_one_spelling(value: Any) -> None:
    """It reads back as the same value, and the order in which an object was built does not show."""
    spelled = canonical_json(value)
    assert json.loads(spelled) == value
    assert canonical_json(reordered(value)) == spelled


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def test_canonical_json_escapes_as_rfc_8785_does() -> None:
    """The string example of RFC 8785 section 3.2.3, as far as our strings go."""
    text = '$\u000f\nA\'B"\\\\"/\u007f'
    assert canonical_json({"b": text, "a": [1, True, None]}) == (
        b'{"a":[1,true,null],"b":"$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"}'
    )


def test_canonical_json_refuses_what_has_no_number() -> None:
    """NaN is not JSON."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"temperature": float("nan")})
