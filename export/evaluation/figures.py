"""Figures of the report: rounded, finite, and with their spread over seeds."""

from collections.abc import Iterable
from statistics import fmean, stdev
from typing import Annotated

from pydantic import AfterValidator, Field

from service.contract.value import Value

#: Six decimals say more than any measure here knows, and spare readers the noise of float64.
Figure = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda given: round(given, 6))]


class Spread(Value):
    """A figure measured once per seed: mean, sample standard deviation (none for one seed), each."""

    mean: Figure
    spread: Figure | None
    each: tuple[Figure, ...]


def spread_of(measured: Iterable[float]) -> Spread:
    """Mean and sample standard deviation (n - 1) of at least one figure."""
    each = tuple(float(figure) for figure in measured)
    return Spread(mean=fmean(each), spread=stdev(each) if len(each) > 1 else None, each=each)
