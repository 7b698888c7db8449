"""Label mixes: exact over a period, and never far from proportion anywhere in between."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.mix import (
    MAX_PERIOD,
    apportioned,
    balancing,
    first_labels,
    labels_between,
    weights_of,
)
from service.contract.recipe import Format, Recipe

mixes = st.dictionaries(
    st.sampled_from("abcdefghijklmnop"), st.integers(1, 300), min_size=1, max_size=12
)


@given(mixes)
def test_no_prefix_is_a_whole_sample_from_proportion(counts: dict[str, int]) -> None:
    """So no stretch between two places is two from it; over a period every label is exact."""
    weights = weights_of(counts)
    period = sum(weights.values())
    made: Counter[str] = Counter()
    for done, label in enumerate(labels_between(weights, 0, period), 1):
        made[label] += 1
        for name, weight in weights.items():
            assert abs(made[name] * period - done * weight) < period
    assert made == weights


@given(mixes, st.integers(0, 5000), st.integers(0, 400))
def test_the_label_of_a_sample_is_a_function_of_its_index(
    counts: dict[str, int], start: int, length: int
) -> None:
    """Whichever stretch is asked for, and in multiples of the mix too, which is how a job is extended."""
    weights = weights_of(counts)
    stretch = labels_between(weights, start, start + length)
    assert stretch == labels_between(weights, 0, start + length)[start:]
    assert weights_of({label: 7 * count for label, count in counts.items()}) == weights
    assert first_labels(weights, length) == labels_between(weights, 0, length)


def test_labels_stay_where_they_are() -> None:
    """Part of the contract: another order would be other images under the same recipe."""
    assert "".join(labels_between({"a": 3, "b": 2, "c": 1}, 0, 12)) == "ababacababac"
    assert "".join(labels_between({"x": 5, "a": 1}, 0, 12)) == "xxxxaxxxxxax"


def test_the_longest_period_is_the_most() -> None:
    """A recipe with a longer one is none."""
    fields = {"decoder": "a" * 64, "label": None, "seed": 1, "format": Format.ZIP}
    Recipe(**fields, labels={"a": MAX_PERIOD - 1, "b": 1}, shard_size=1024)
    with pytest.raises(ValidationError):
        Recipe(**fields, labels={"a": MAX_PERIOD, "b": 1}, shard_size=1024)
    with pytest.raises(ValidationError):
        Recipe(**fields | {"label": "a"}, labels={"a": 1}, shard_size=1024)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1), st.integers(1, 999)
)
def test_weights_become_counts_within_one_of_their_share(
    weights: dict[str, int], count: int
) -> None:
    """They sum to what was asked for; who has no weight gets nothing."""
    total = sum(weights.values())
    if not total:
        with pytest.raises(ValueError, match="above 0"):
            apportioned(weights, count)
        return
    counts = apportioned(weights, count)
    assert sum(counts.values()) == count
    for label, weight in weights.items():
        assert abs(counts.get(label, 0) - Fraction(weight * count, total)) < 1
        assert weight or label not in counts


def test_a_histogram_is_balanced_by_what_its_labels_lack() -> None:
    """To its most frequent label, or to more; a label that has enough is left out."""
    assert balancing({"a": 10, "b": 4, "c": 7}) == {"b": 6, "c": 3}
    assert balancing({"a": 10, "b": 4}, to=12) == {"a": 2, "b": 8}
    with pytest.raises(ValueError, match="more than 9"):
        balancing({"a": 10, "b": 4}, to=9)
    with pytest.raises(ValueError, match="already"):
        balancing({"a": 3, "b": 3})
