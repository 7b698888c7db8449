"""What one check found, and the facts that a decoder file tells about itself."""

from enum import StrEnum
from typing import Any

from service.contract.card import DecoderCard
from service.contract.value import Value


class Verdict(StrEnum):
    """`warning` is for what a person should look at and may want so."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


class Finding(Value):
    """One line of the report: the check, its verdict, what was found or what to do."""

    check: str
    verdict: Verdict
    said: str

    def __str__(self) -> str:
        return f"{self.check}: {self.said}"


class Line(Value):
    """What the checking process tells, one JSON line each: a check that begins, a finding, the card."""

    begins: str | None = None
    finding: Finding | None = None
    card: DecoderCard | None = None


def ok(check: str, said: str) -> Finding:
    return Finding(check=check, verdict=Verdict.OK, said=said)


def warning(check: str, said: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WARNING, said=said)


def refused(check: str, said: str) -> Finding:
    return Finding(check=check, verdict=Verdict.REFUSED, said=said)


def judged(check: str, faults: list[str], fine: str) -> list[Finding]:
    """A refusal for every fault, or one line that all is fine."""
    return [refused(check, fault) for fault in faults] or [ok(check, fine)]


def first_line(error: BaseException) -> str:
    """An error of a library, short enough to stand in a sentence."""
    return (str(error).strip() or repr(error)).partition("\n")[0][:300]


#: What a person wrote of a card, as read from JSON; the rest is told by the file.
Draft = dict[str, Any]
