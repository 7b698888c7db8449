"""What a decoder promises is tried on its images: finite, repeatable, and no sample sees another."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.inspection.checks import try_out
from export.inspection.child import inspected
from export.inspection.finding import Finding, Verdict
from export.inspection.trial import Trial
from service.contract.card import DecoderCard
from tests.fixtures.decoders import DIGITS, tiny_card, tiny_graph
from tests.fixtures.graphs import BATCH, DIM, DRAFT, grey_levels, of_nodes

UNCONDITIONAL: dict[str, Any] = {"name": "theirs"}


def finding(check: str, file: bytes, draft: dict[str, Any] = UNCONDITIONAL) -> Finding:
    found = [line.finding for line in inspected(draft, file) if line.finding]
    (one,) = [finding for finding in found if finding.check == check]
    return one


def tried(check: str, file: bytes, card: DecoderCard) -> Finding:
    """A finding of the trial alone, for a graph that reading it refuses."""
    lines = try_out(Trial(onnx.load_from_string(file), file, card))
    (one,) = [line.finding for line in lines if line.finding and line.finding.check == check]
    return one


def test_a_good_decoder_passes_every_trial() -> None:
    """Nothing is refused and nothing warned of; the speed is told."""
    found = [line.finding for line in inspected(DRAFT, tiny_graph()) if line.finding]
    assert {one.verdict for one in found} == {Verdict.OK}
    assert "images/s on one thread, batch 64" in found[-1].said


NOT_FINITE = {
    "nan": ("Sqrt", [helper.make_node("Sub", ["one", "latent"], ["x"])], "temperature 1"),
    "nan_when_hot": ("Sqrt", [helper.make_node("Sub", ["five", "latent"], ["x"])], "temperature 2"),
    "infinite": ("Exp", [helper.make_node("Mul", ["latent", "huge"], ["x"])], "temperature 1"),
}


@pytest.mark.parametrize("kind", sorted(NOT_FINITE))
def test_numbers_that_are_none_are_seen_before_uint8_hides_them(kind: str) -> None:
    """Clip and cast make a pixel of NaN and infinity, so the floats before them are watched."""
    operator, nodes, where = NOT_FINITE[kind]
    file = of_nodes(*nodes, helper.make_node(operator, ["x"], ["y"]), *grey_levels("y"))
    found = finding("finite", file)
    assert (found.verdict, operator in found.said, where in found.said) == ("refused", True, True)


def test_numbers_that_are_none_and_do_not_reach_the_pixels_are_warned_of() -> None:
    """A masked NaN is somebody's design, perhaps; it is told and let through."""
    file = of_nodes(
        helper.make_node("Sqrt", ["latent"], ["x"]),
        helper.make_node("IsNaN", ["x"], ["none"]),
        helper.make_node("Where", ["none", "latent", "x"], ["y"]),
        *grey_levels("y"),
    )
    found = finding("finite", file)
    assert (found.verdict, "pixels do not show it" in found.said) == ("warning", True)


SEEING_NEIGHBOURS = {
    "mean_of_the_batch": helper.make_node("ReduceMean", ["latent", "rows"], ["b"], keepdims=1),
    "largest_of_the_batch": helper.make_node("ReduceMax", ["latent", "rows"], ["b"], keepdims=1),
    "sum_so_far": helper.make_node("CumSum", ["latent", "first_axis"], ["b"]),
}


@pytest.mark.parametrize("kind", sorted(SEEING_NEIGHBOURS))
def test_a_sample_that_sees_its_neighbours_is_refused(kind: str) -> None:
    """It would not be a function of seed and index: the last batch of a job is padded with zeros."""
    axis = numpy_helper.from_array(np.int64(0))
    file = of_nodes(
        helper.make_node("Constant", [], ["first_axis"], value=axis),
        SEEING_NEIGHBOURS[kind],
        helper.make_node("Sub", ["latent", "b"], ["x"]),
        *grey_levels("x"),
    )
    found = finding("rows", file)
    assert (found.verdict, "changes with its neighbours" in found.said) == ("refused", True)


def test_usual_dynamic_quantisation_is_refused(tmp_path: Path) -> None:
    """One scale for the whole batch: the quantiser of ONNX Runtime breaks the promise."""
    from onnxruntime.quantization import quantize_dynamic

    (tmp_path / "in.onnx").write_bytes(tiny_graph())
    quantize_dynamic(tmp_path / "in.onnx", tmp_path / "out.onnx")
    assert finding("rows", (tmp_path / "out.onnx").read_bytes(), DRAFT).verdict == "refused"


def test_a_batch_of_one_has_no_neighbours() -> None:
    """What looks along the batch then looks at the sample alone."""
    mean = helper.make_node("ReduceMean", ["latent", "rows"], ["b"], keepdims=1)
    file = of_nodes(mean, *grey_levels("b"), batch=1)
    assert finding("rows", file).verdict == "ok"


def test_a_decoder_that_draws_lots_does_not_repeat() -> None:
    """Would one slip through the reading, two passes over the same latents would tell."""
    file = of_nodes(
        helper.make_node("RandomNormalLike", ["latent"], ["chance"]), *grey_levels("chance")
    )
    found = tried("repeats", file, tiny_card(file, labels=(), shape=(4, 2, 1)))
    assert (found.verdict, found.said) == (
        "refused",
        "the same latents drawn twice give two images",
    )


def embedding(classes: int, *, distinct: bool = True) -> bytes:
    """The latents plus a row of a table of so many labels."""
    table = np.arange(classes * DIM, dtype=np.float32).reshape(classes, DIM) % 3 - 1
    table = table if distinct else np.zeros_like(table)
    model = onnx.load_from_string(
        of_nodes(
            helper.make_node("Gather", ["table", "label"], ["embedded"]),
            helper.make_node("Add", ["latent", "embedded"], ["x"]),
            *grey_levels("x"),
        )
    )
    model.graph.initializer.append(numpy_helper.from_array(table, "table"))
    model.graph.input.append(helper.make_tensor_value_info("label", TensorProto.INT64, [BATCH]))
    return bytes(model.SerializeToString())


def test_more_labels_than_the_graph_knows_are_refused() -> None:
    """Every label of the card is drawn once before anybody may ask for it."""
    draft = {"name": "theirs", "labels": ["cat", "dog", "cow", "owl"]}
    assert finding("labels", embedding(4), draft).verdict == "warning"  # 0 and 3 look alike
    found = finding("finite", embedding(3), draft)
    assert (found.verdict, "fails when it runs" in found.said) == ("refused", True)


def test_labels_that_change_nothing_are_warned_of() -> None:
    """Two labels with the same images are named: swapped inputs, or a card with too many labels."""
    found = finding("labels", embedding(2, distinct=False), DRAFT | {"labels": ["cat", "dog"]})
    assert (found.verdict, "cat and dog draw the same images" in found.said) == ("warning", True)
    assert finding("labels", embedding(2), DRAFT | {"labels": ["cat", "dog"]}).verdict == "ok"


def test_latents_that_change_nothing_are_warned_of() -> None:
    """A generator that collapsed draws one image."""
    collapsed = of_nodes(helper.make_node("Mul", ["latent", "zero"], ["x"]), *grey_levels("x"))
    found = finding("latents", collapsed)
    assert (found.verdict, found.said.partition(" latents")[0]) == ("warning", "1 of 256")


def test_more_labels_than_rows_are_all_drawn() -> None:
    """A hundred labels in batches of 16: the last one counts as the first."""
    labels = [f"l{k}" for k in range(100)]
    file = tiny_graph(classes=100, batch_size=16)
    assert finding("labels", file, {"name": "theirs", "labels": labels}).verdict == "ok"
    eleven = {"name": "theirs", "labels": [*DIGITS, "x", "y"]}
    assert finding("labels", tiny_graph(), eleven).verdict == "warning"


def test_an_image_whose_shape_hangs_on_the_latents_is_refused() -> None:
    """Declared shapes are believed by nobody: what comes out is looked at, in every batch."""
    file = of_nodes(
        helper.make_node("NonZero", ["latent"], ["places"]),
        helper.make_node("Cast", ["places"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["x", "flat"], ["y"]),
        *grey_levels("y"),
    )
    model = onnx.load_from_string(file)
    flat = numpy_helper.from_array(np.array([-1, DIM], np.int64), "flat")
    model.graph.initializer.append(flat)
    found = finding("loads", bytes(model.SerializeToString()))
    assert (found.verdict, "\n" in found.said) == ("refused", False)
