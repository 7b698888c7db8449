"""The process that reads somebody's file: it may crash, hang or swell, and nothing else does.

Reads one JSON line `{"limits": …, "draft": …}` and then the file from stdin; writes `Line`s to stdout.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import onnx
from onnx import ModelProto

from export.inspection import graph
from export.inspection.checks import try_out
from export.inspection.draft import completed, draft_faults, file_faults
from export.inspection.finding import Draft, Finding, Line, Verdict, first_line, judged, ok, refused
from export.inspection.limits import OUT_OF_MEMORY, Limits
from export.inspection.operators import operator_faults
from export.inspection.precision import precision_finding, precision_of
from export.inspection.runtime import runtime_faults
from export.inspection.signature import facts, signature, signature_faults
from export.inspection.trial import Trial
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused


def main() -> None:
    """Check one file within its limits."""
    told = json.loads(sys.stdin.buffer.readline())
    file = sys.stdin.buffer.read()
    out = _own_stdout()
    Limits(**told["limits"]).bind_this_process(len(file))
    try:
        for line in inspected(told["draft"], file):
            print(line.model_dump_json(), file=out, flush=True)
    except MemoryError:
        # No words: there is no memory for them.
        os._exit(OUT_OF_MEMORY)


def inspected(draft: Draft, file: bytes) -> Iterator[Line]:
    """Every finding, until a group of checks refuses; the card when none did."""
    yield Line(begins="file")
    try:
        model = graph.parse(file)
        yield Line(finding=ok("file", graph.summary(model)))
        yield Line(begins="functions")
        whole = graph.inlined(model)
    except DecoderRefused as error:
        yield Line(finding=refused("file", error.detail))
        return
    yield Line(begins="graph")
    yield from _lines(findings := _read_only(model, whole, draft, file))
    if _refuses(findings):
        return
    yield Line(begins="valid")
    yield from _lines(findings := _valid(model))
    if _refuses(findings):
        return
    yield from _tried(whole, file, _card(whole, draft, file))


def _read_only(model: ModelProto, whole: ModelProto, draft: Draft, file: bytes) -> list[Finding]:
    """What shows without running anything; all faults at once, because a person mends all at once."""
    found = signature(whole)
    faults = signature_faults(found, draft)
    known = {} if faults else facts(found, draft) | draft
    return [
        *judged("one file", graph.files_named_faults(model), "weights inside"),
        *judged("operators", operator_faults(whole), "known, not random, not in training mode"),
        *judged("structure", graph.structure_faults(model), "nothing beside the graph"),
        *judged("signature", faults, str(found)),
        *judged(
            "card", file_faults(draft, file) + draft_faults(draft | known), "keeps the contract"
        ),
        precision_finding(whole, draft),
    ]


def _valid(model: ModelProto) -> list[Finding]:
    faults = runtime_faults(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except MemoryError:
        raise
    except Exception as error:  # Each of ONNX's own classes is a fault of the file.
        faults.append(f"ONNX's checker: {first_line(error)}")
    return judged("valid", faults, "for ONNX's checker, with all shapes inferred")


def _card(whole: ModelProto, draft: Draft, file: bytes) -> DecoderCard:
    known = facts(signature(whole), draft) | {"precision": precision_of(whole)}
    return completed(draft, known, file)


def _tried(whole: ModelProto, file: bytes, card: DecoderCard) -> Iterator[Line]:
    yield Line(begins="loads")
    try:
        trial = Trial(whole, file, card)
    except MemoryError:
        raise
    except Exception as error:  # Ours, or one of ONNX Runtime's own from the first run.
        yield Line(finding=refused("loads", first_line(error)))
        return
    yield Line(finding=ok("loads", "in ONNX Runtime, as a worker loads it"))
    is_refused = False
    for line in try_out(trial):
        is_refused |= line.finding is not None and line.finding.verdict == Verdict.REFUSED
        yield line
    if not is_refused:
        yield Line(card=card)


def _lines(findings: list[Finding]) -> Iterator[Line]:
    return (Line(finding=finding) for finding in findings)


def _refuses(findings: list[Finding]) -> bool:
    return any(finding.verdict == Verdict.REFUSED for finding in findings)


def _own_stdout() -> TextIO:
    """The pipe to the parent, for us alone: what libraries print goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    main()
