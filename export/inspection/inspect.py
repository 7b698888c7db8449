"""A decoder somebody made, checked in a process of its own: every fault at once, and its card."""

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from export.inspection.draft import draft_faults
from export.inspection.finding import Draft, Finding, Line, Verdict, judged, ok, refused
from export.inspection.limits import OUT_OF_MEMORY, Limits
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused

_COMMAND = (sys.executable, "-P", "-m", "export.inspection.child")

#: The child ends itself by its alarm; starting it takes this long at most.
_START_S = 60


@dataclass(frozen=True)
class Inspection:
    """All findings in the order of the checks; `card` only when none of them refuses."""

    findings: tuple[Finding, ...]
    card: DecoderCard | None

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return self._of(Verdict.REFUSED)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return self._of(Verdict.WARNING)

    def accepted(self) -> DecoderCard:
        """The card. Raises DecoderRefused with every refusal."""
        if self.card is None:
            raise DecoderRefused("; ".join(map(str, self.refusals)))
        return self.card

    def _of(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == verdict)


def inspect(file: bytes, draft: Draft, *, limits: Limits | None = None) -> Inspection:
    """Check an ONNX file against a draft of its card (`read_draft`), and complete the card.

    Nothing of the file is parsed or run in this process. Needs onnx and onnxruntime.
    """
    limits = limits or Limits()
    findings = [*_size(len(file), limits), *judged("card", draft_faults(draft), "well-formed")]
    if any(finding.verdict == Verdict.REFUSED for finding in findings):
        return Inspection(tuple(findings), None)
    lines = _run_child(file, draft, limits)
    findings = [findings[0], *(line.finding for line in lines if line.finding)]
    card = next((line.card for line in lines if line.card), None)
    return Inspection(tuple(findings), card)


def read_within(path: Path, limits: Limits) -> bytes:
    """The file's bytes, one more than allowed at most. Raises DecoderRefused when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(limits.size_bytes + 1)
    except OSError as error:
        raise DecoderRefused(f"{path} cannot be read: {error.strerror or error}") from error


def _size(size_bytes: int, limits: Limits) -> list[Finding]:
    allowed = f"{limits.size_bytes:,} bytes"
    if size_bytes > limits.size_bytes:
        return [refused("size", f"more than {allowed}; raise the limit with --max-size-mib")]
    return [ok("size", f"{size_bytes:,} bytes, {allowed} are allowed")]


def _run_child(file: bytes, draft: Draft, limits: Limits) -> list[Line]:
    head = json.dumps({"limits": limits.model_dump(), "draft": draft}).encode()
    with tempfile.TemporaryFile() as errors, _start(errors) as child:
        try:
            told, _ = child.communicate(head + b"\n" + file, limits.time_s + _START_S)
        finally:
            # Also on Ctrl-C: nobody waits for what it would find.
            child.kill()
            child.wait()
        lines = [Line.model_validate_json(line) for line in told.splitlines()]
        if child.returncode:
            lines.append(Line(finding=_death(child.returncode, lines, errors, limits)))
    return lines


def _start(errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)


def _death(code: int, lines: list[Line], errors: IO[bytes], limits: Limits) -> Finding:
    """What the last check that began did to its process."""
    check = next((line.begins for line in reversed(lines) if line.begins), "start")
    if code == -signal.SIGALRM:
        how = f"not done after {limits.time_s} s: raise the limit with --max-time-s"
    elif code == OUT_OF_MEMORY:
        how = "needs more memory than a decoder of this size may take"
    elif code < 0:
        how = f"crashes the process that reads it ({signal.Signals(-code).name})"
    else:
        how = f"failed: {_last_line(errors)}"
    return refused(check, how)


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")[:300]
