"""A file that hangs, swells or crashes whoever reads it ends its own process and is refused in a line."""

import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import helper, numpy_helper

from export.inspection import inspect as room
from export.inspection.draft import draft_faults, read_draft
from export.inspection.inspect import inspect, read_within
from export.inspection.limits import Limits
from service.contract.errors import DecoderRefused
from tests.fixtures.decoders import tiny_card, tiny_decoder, tiny_graph
from tests.fixtures.graphs import DRAFT, endless, grey_levels, of_nodes

UNCONDITIONAL = {"name": "theirs"}


def refusal(file: bytes, draft: dict[str, object], **limits: int) -> str:
    (one,) = inspect(file, draft, limits=Limits(**limits)).refusals
    assert "\n" not in one.said
    return str(one)


def test_a_good_decoder_comes_back_with_its_card() -> None:
    """The other process tells every check, and the card that the file completes."""
    file = tiny_graph()
    found = inspect(file, DRAFT)
    assert found.accepted() == tiny_card(file, name="theirs").model_copy(update={"description": ""})
    checks = [one.check for one in found.findings]
    assert checks[:2] == ["size", "file"]
    assert checks[-2:] == ["latents", "speed"]


def test_a_graph_that_never_ends_is_stopped() -> None:
    """The time is kept by the kernel, inside whatever library hangs; nothing is left running."""
    beside = psutil.Process().children()
    told = refusal(endless(), UNCONDITIONAL, time_s=5)
    assert told.endswith(": not done after 5 s: raise the limit with --max-time-s")
    assert psutil.Process().children() == beside


def test_a_small_file_that_asks_for_much_memory_is_refused() -> None:
    """A tensor of 16 TiB fits into ten bytes of shape; this machine never hands that out."""
    shape = numpy_helper.from_array(np.array([2**42], np.int64))
    file = of_nodes(
        helper.make_node("Constant", [], ["much"], value=shape),
        helper.make_node("ConstantOfShape", ["much"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["latent", "sum"], ["x"]),
        *grey_levels("x"),
    )
    assert "ailed to allocate memory" in refusal(file, UNCONDITIONAL, time_s=60)


def test_a_file_of_many_empty_messages_is_refused() -> None:
    """Two bytes of file become a node in memory: the limit is on memory, not on the file alone."""
    nodes = b"\x0a\x00" * 20_000_000
    graph = b"\x3a" + varint(len(nodes)) + nodes
    assert refusal(graph, UNCONDITIONAL, time_s=4).startswith(("file: ", "functions: ", "graph: "))


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "rows: crashes the process that reads it (SIGSEGV)",
        ),
        ("sys.exit('no room on the disk')", "rows: failed: no room on the disk"),
        ("os._exit(12)", "rows: needs more memory than a decoder of this size may take"),
    ],
)
def test_a_crash_is_a_refusal_that_names_the_check(
    ending: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that falls over takes its own process along, and the check that ran is named."""
    code = (
        "import os, signal, sys; sys.stdin.read()\n"
        """print('{"begins": "rows"}', flush=True)\n"""
        f"{ending}"
    )
    monkeypatch.setattr(room, "_COMMAND", (sys.executable, "-X", "utf8=0", "-c", code))
    assert refusal(b"ascii", UNCONDITIONAL) == told


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    """One byte too many is enough to know; a file of gigabytes costs nothing."""
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)
    read = read_within(path, Limits(size_bytes=1000))
    assert len(read) == 1001
    assert "raise the limit with --max-size-mib" in refusal(read, DRAFT, size_bytes=1000)


def test_refusals_are_one_error_for_callers() -> None:
    """Who wants the card or an exception gets every fault in it."""
    with pytest.raises(DecoderRefused, match=r"signature: .*; signature: "):
        inspect(tiny_graph(), {"name": "theirs", "latent_dim": 9}).accepted()


DRAFT_FAULTS = {
    "name": ({"labels": []}, ["name: required"]),
    "several": (
        {"name": "My gan", "labels": ["a", "a/b"], "colour": 1, "batch_size": 3},
        [
            "name: 'My gan' does not match ^[a-z0-9][a-z0-9_-]{0,63}$",
            "labels/1: 'a/b' does not match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
            "batch_size: batch_size is a power of two",
            "colour: unknown field",
        ],
    ),
    "twice": ({"name": "x", "labels": ["a", "a"]}, ["labels are unique"]),
    "image": (
        {"name": "x", "image": {"height": 0, "width": 8, "channels": 2}},
        [
            "image/height: Input should be greater than or equal to 1",
            "image/channels: an image has 1 or 3 channels",
        ],
    ),
    "numbers": ({"name": "x", "labels": [1, 2]}, ["labels/0", "labels/1"]),
}


@pytest.mark.parametrize("case", sorted(DRAFT_FAULTS))
def test_every_fault_of_a_card_written_by_hand_is_told(case: str) -> None:
    """One line each, with the field, before the file is looked at."""
    draft, wanted = DRAFT_FAULTS[case]
    told = draft_faults(draft)
    assert len(told) == len(wanted)
    assert all(one.startswith(words) for one, words in zip(told, wanted, strict=True)), told


def test_what_is_no_card_at_all_is_refused() -> None:
    """Text, a list and a number that JSON does not have; null is the same as absent."""
    for text in (b"labels: 10", b"[]", b'{"quality": {"nll": NaN}}', b"\xff", b"[" * 10**5):
        with pytest.raises(DecoderRefused, match=r"theirs\.json is not a decoder card"):
            read_draft(text, "theirs.json")
    assert read_draft(b'{"name": "x", "digest": null}', "theirs.json") == {"name": "x"}


def test_the_limit_of_memory_grows_with_the_file() -> None:
    """A large decoder is loaded three times over, and must not be taken for a bomb."""
    file, _ = tiny_decoder()
    limits = Limits()
    assert limits.memory_bytes(2**28) > 10 * 2**28
    assert limits.memory_bytes(len(file)) < 9 * 2**30


def test_an_interrupted_check_leaves_no_process() -> None:
    """Ctrl-C while a check hangs: the other process is gone before the command is."""
    beside = psutil.Process().children()
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.alarm(4)
    try:
        with pytest.raises(KeyboardInterrupt):
            inspect(endless(), UNCONDITIONAL)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert psutil.Process().children() == beside
