"""What two jobs have in common, told by their requests alone: nothing is drawn and nothing is read."""

from collections.abc import Iterator
from itertools import chain, islice, repeat
from operator import eq

from service.contract.mix import labels_between
from service.contract.recipe import Recipe
from service.contract.request import ResolvedRequest
from service.contract.value import Value


class Overlap(Value):
    """Samples of two jobs that follow from the same: `images` at the same temperature and label, too.

    `latents` counts samples of one decoder, seed and index, whatever their label and temperature: one handwriting,
    which a test set should not share with its training set either. Without any, every image of one was drawn from a
    random stream that the other does not use.
    """

    latents: int
    images: int


def overlap_of(one: ResolvedRequest, other: ResolvedRequest) -> Overlap:
    """Of the jobs of two requests, in whatever format and shards they are stored."""
    if (one.digest, one.seed) != (other.digest, other.seed):
        return Overlap(latents=0, images=0)
    shared = min(one.count, other.count)
    if one.temperature_milli != other.temperature_milli:
        return Overlap(latents=shared, images=0)
    return Overlap(latents=shared, images=_same_labels(one.recipe, other.recipe, shared))


def _same_labels(one: Recipe, other: Recipe, count: int) -> int:
    if (one.label, one.labels) == (other.label, other.labels):
        return count
    if one.labels is None and other.labels is None:
        return 0
    return sum(map(eq, islice(_labels(one), count), islice(_labels(other), count)))


def _labels(recipe: Recipe) -> Iterator[str]:
    if recipe.labels is None:
        return repeat(recipe.label or "")
    return chain.from_iterable(
        repeat(labels_between(recipe.labels, 0, sum(recipe.labels.values())))
    )
