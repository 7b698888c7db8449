"""Label mixes: which label sample `i` has, so that every stretch of samples holds each label in proportion.

The counts of a mix, divided by their greatest common divisor, are its weights; their sum is its period. Within a period
label `l` has `weight(l)` samples. Its m-th one may come at sample `floor(m * period / weight)` at the earliest and must
have come before sample `ceil((m + 1) * period / weight)`; of the labels that may come, the one that must come first
does, and of equals the first by name. Such windows can always be kept (Baruah, Cohen, Plaxton and Varvel 1996,
"Proportionate progress"), and who keeps them is never a whole sample from proportion in any prefix. So no stretch is
two samples from it.
"""

from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from heapq import heappop, heappush
from itertools import cycle, islice
from math import gcd

#: Most samples after which a mix repeats: its labels are worked out once, in a second or two, and kept.
MAX_PERIOD = 2**20


def weights_of(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts, positive each, in lowest terms and by name: what of a mix decides the label of a sample."""
    divisor = gcd(*counts.values())
    return {label: counts[label] // divisor for label in sorted(counts)}


def labels_between(weights: Mapping[str, int], start: int, stop: int) -> list[str]:
    """The labels of samples `start` … `stop` - 1 of a mix in lowest terms."""
    names = sorted(weights)
    places = _places(tuple(weights[name] for name in names))
    return [names[places[index % len(places)]] for index in range(start, stop)]


def apportioned(weights: Mapping[str, float], count: int) -> dict[str, int]:
    """Counts that sum to `count`, each within one of its share: by largest remainder, of equals the first by name.

    Labels whose share is nothing are left out. Raises ValueError for weights that are none.
    """
    total = sum(weights.values())
    if count < 1 or not total > 0 or min(weights.values()) < 0:
        raise ValueError(
            "weights are numbers from 0 up, one of them above 0, and a count of 1 or more"
        )
    shares = {label: weights[label] * count / total for label in sorted(weights)}
    counts = {label: int(share) for label, share in shares.items()}
    by_remainder = sorted(shares, key=lambda label: counts[label] - shares[label])
    for label in by_remainder[: count - sum(counts.values())]:
        counts[label] += 1
    return {label: counted for label, counted in counts.items() if counted}


def balancing(histogram: Mapping[str, int], *, to: int | None = None) -> dict[str, int]:
    """Counts that, added to a histogram, make every label as frequent as its most frequent one, or `to` of each.

    Raises ValueError where a label has more than `to` already, or none lacks anything.
    """
    goal = max(histogram.values()) if to is None else to
    if goal < max(histogram.values()):
        raise ValueError(
            f"a label has {max(histogram.values())} already, which is more than {goal}"
        )
    counts = {label: goal - count for label, count in histogram.items() if count < goal}
    if not counts:
        raise ValueError("every label is as frequent as the others already")
    return counts


def first_labels(weights: Mapping[str, int], count: int) -> list[str]:
    """The labels of the first samples, at no more cost than theirs."""
    names = sorted(weights)
    period = _sequence(tuple(weights[name] for name in names))
    return [names[place] for place in islice(cycle(islice(period, count)), count)]


@lru_cache(maxsize=16)
def _places(weights: tuple[int, ...]) -> "array[int]":
    """For each sample of a period, the place of its label among the labels by name."""
    return array("H", _sequence(weights))


def _sequence(weights: tuple[int, ...]) -> Iterator[int]:
    period = sum(weights)
    made = [0] * len(weights)
    # Labels by the sample at which their next one may come; and those that may come now, by when they must have.
    later = [(0, place) for place in range(len(weights))]
    ready: list[tuple[int, int]] = []
    for sample in range(period):
        while later and later[0][0] <= sample:
            _, place = heappop(later)
            heappush(ready, (-(-(made[place] + 1) * period // weights[place]), place))
        _, place = heappop(ready)
        yield place
        made[place] += 1
        heappush(later, (made[place] * period // weights[place], place))
