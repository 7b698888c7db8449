"""How many images of which label, and under which tags, as the command line is told."""

from typing import TYPE_CHECKING

from service.contract.errors import Fault, RequestInvalid
from service.contract.mix import apportioned, balancing

if TYPE_CHECKING:
    from latentmill.wanted import Wanted


def how_many(
    label: str | None,
    count: int | None,
    labels: str | None,
    weights: str | None,
    balance: str | None,
) -> "Wanted":
    """The count of one label, or the mix. Raises RequestInvalid unless exactly one way is given."""
    ways = {"--labels": labels, "--weights": weights, "--balance": balance}
    given = [name for name, text in ways.items() if text is not None]
    if not given:
        if count is None:
            raise _refused("--count", "how many images? Or a mix: --labels 3=200,8=100")
        return {"count": count}
    if len(given) > 1 or label is not None:
        raise _refused(given[0], "give one label, or one mix")
    if (count is None) == (weights is not None):
        raise _refused("--count", "goes with one label, or with --weights")
    try:
        if labels is not None:
            return {"labels": _numbers(labels)}
        if balance is not None:
            return {"labels": balancing(_numbers(balance))}
        return {"labels": apportioned(_numbers(weights or ""), count or 0)}
    except ValueError as error:
        raise _refused(given[0], str(error)) from error


def _numbers(text: str) -> dict[str, int]:
    """`3=200,8=100`. Raises ValueError."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(number.strip().isdecimal() for _, _, number in pairs):
        raise ValueError(f"labels and whole numbers, like 3=200,8=100; not {text!r}")
    return {label.strip(): int(number) for label, _, number in pairs}


def tags_of(given: list[str] | None) -> dict[str, str] | None:
    """`name=value`, each. Raises RequestInvalid."""
    pairs = [tag.partition("=") for tag in given or []]
    if not all(equals for _, equals, _ in pairs):
        raise _refused("--tag", "a name and a value, like run=night")
    return {name: value for name, _, value in pairs} or None


def _refused(option: str, why: str) -> RequestInvalid:
    return RequestInvalid([Fault(option, why)])
