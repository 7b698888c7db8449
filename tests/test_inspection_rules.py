"""What a decoder file may hold is decided by reading it: every fault at once, before anything runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.inspection.child import inspected
from export.inspection.finding import Finding, Verdict
from export.variants import variant
from service.contract.card import DecoderCard, ImageShape
from service.contract.value import sha256_hex
from tests.fixtures.decoders import DIGITS, tiny_decoder, tiny_graph
from tests.fixtures.graphs import BATCH, DIM, DRAFT, changed, grey_levels, of_nodes, with_node


def findings(file: bytes, draft: dict[str, Any] = DRAFT) -> list[Finding]:
    return [line.finding for line in inspected(draft, file) if line.finding]


def refusals(file: bytes, draft: dict[str, Any] = DRAFT) -> list[str]:
    return [str(one) for one in findings(file, draft) if one.verdict == Verdict.REFUSED]


def card_of(file: bytes, draft: dict[str, Any]) -> DecoderCard:
    (card,) = [line.card for line in inspected(draft, file) if line.card]
    return card


def elsewhere(tensor: TensorProto) -> TensorProto:
    """The tensor with its numbers in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def one_tensor() -> TensorProto:
    return elsewhere(numpy_helper.from_array(np.ones(4, np.float32), "theirs"))


def branch(node: Any) -> Any:
    value = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    return helper.make_graph([node], "branch", [], [value])


def add_function(model: ModelProto, *nodes: Any, name: str = "Theirs") -> None:
    """A function of the model's own, used once on the latents."""
    opsets = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("own", name, ["x"], ["y"], list(nodes), opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node.insert(0, helper.make_node(name, ["latent"], ["aside"], domain="own"))


def sparse(model: ModelProto) -> None:
    indexes = numpy_helper.from_array(np.array([0], np.int64), "indexes")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(elsewhere(numpy_helper.from_array(np.ones(1), "s")), indexes, [4])
    )


IN_OTHER_FILES: dict[str, Callable[[ModelProto], object]] = {
    "weight": lambda model: elsewhere(model.graph.initializer[0]),
    "constant": lambda model: model.graph.node.insert(
        0, helper.make_node("Constant", [], ["aside"], value=one_tensor())
    ),
    "subgraph": lambda model: model.graph.node.insert(
        0,
        helper.make_node(
            "If",
            ["condition"],
            ["aside"],
            then_branch=branch(helper.make_node("Constant", [], ["b"], value=one_tensor())),
            else_branch=branch(helper.make_node("Identity", ["latent"], ["b"])),
        ),
    ),
    "function": lambda model: add_function(
        model,
        helper.make_node("Constant", [], ["c"], value=one_tensor()),
        helper.make_node("Identity", ["x"], ["y"]),
    ),
    "sparse": sparse,
    "training": lambda model: model.training_info.add().initialization.initializer.append(
        one_tensor()
    ),
}


@pytest.mark.parametrize("place", sorted(IN_OTHER_FILES))
def test_numbers_in_another_file_are_found_wherever_they_stand(place: str) -> None:
    """A worker would read that file; no attribute, branch or function hides it."""
    told = refusals(changed(IN_OTHER_FILES[place]))
    assert any("in other files" in one and "one file" in one for one in told), told


def training_dropout() -> bytes:
    yes = numpy_helper.from_array(np.array(True), "yes")
    ratio = numpy_helper.from_array(np.float32(0.5), "ratio")
    node = helper.make_node("Dropout", ["latent", "ratio", "yes"], ["aside"])

    def change(model: ModelProto) -> None:
        model.graph.initializer.extend([yes, ratio])
        model.graph.node.insert(0, node)

    return changed(change)


def weights_as_inputs(model: ModelProto) -> None:
    shape = [DIM + 10, 64]
    model.graph.input.append(
        helper.make_tensor_value_info("weight", TensorProto.FLOAT, shape),
    )


def set_opset(model: ModelProto, version: int) -> None:
    model.opset_import[0].version = version


RULES = {
    "microsoft": (
        lambda: with_node("Gelu", ["latent"], domain="com.microsoft"),
        "com.microsoft.Gelu (1); export without ONNX Runtime's optimiser",
    ),
    "custom": (lambda: with_node("Draw", ["latent"], domain="my.gan"), "my.gan.Draw (1)"),
    "unknown": (lambda: with_node("Paint", ["latent"]), "opset 20 has no operators Paint (1)"),
    "newer": (lambda: with_node("RMSNormalization", ["latent"]), "has no operators RMSNormal"),
    "deprecated": (lambda: with_node("Upsample", ["latent"]), "has no operators Upsample"),
    "random": (
        lambda: with_node("RandomNormalLike", ["latent"]),
        "random operators: RandomNormalLike (1); the same request must give the same bytes",
    ),
    "seeded": (lambda: with_node("RandomUniform", [], shape=[4], seed=1.0), "RandomUniform (1)"),
    "bernoulli": (lambda: with_node("Bernoulli", ["latent"]), "Bernoulli (1)"),
    "dropout": (training_dropout, "training mode: Dropout (1); call eval()"),
    "batch_norm": (
        lambda: with_node("BatchNormalization", ["latent"] * 5, training_mode=1),
        "training mode: BatchNormalization (1)",
    ),
    "decoding_files": (
        lambda: with_node("ImageDecoder", ["latent"]),
        "no place in a decoder: ImageDecoder",
    ),
    "random_in_a_function": (
        lambda: changed(
            lambda model: add_function(model, helper.make_node("RandomUniformLike", ["x"], ["y"]))
        ),
        "random operators: RandomUniformLike (1)",
    ),
    "function_named_as_an_operator": (
        lambda: changed(
            lambda model: model.functions.append(
                helper.make_function(
                    "",
                    "RandomNormalLike",
                    ["x"],
                    ["y"],
                    [helper.make_node("Identity", ["x"], ["y"])],
                    [helper.make_opsetid("", 20)],
                )
            )
        ),
        "functions bear names of operators (RandomNormalLike)",
    ),
    "weights_as_inputs": (lambda: changed(weights_as_inputs), "weights are inputs too (weight)"),
    "training_graphs": (
        lambda: changed(lambda model: model.training_info.add()),
        "graphs for training",
    ),
    "opset_of_tomorrow": (lambda: changed(lambda m: set_opset(m, 99)), "opset 99 is unknown"),
    "no_opset": (lambda: changed(lambda m: m.ClearField("opset_import")), "0 versions"),
    "ir_of_tomorrow": (
        lambda: changed(lambda m: setattr(m, "ir_version", 99)),
        "does not read IR 99",
    ),
    "two_makers": (
        lambda: changed(lambda m: m.graph.node.append(m.graph.node[0])),
        "ONNX's checker",
    ),
    "text": (lambda: b"labels: 10", "not an ONNX file"),
    "empty": (lambda: b"", "hold no graph"),
    "ort_format": (lambda: b"\x08\0\0\0ORTM" + bytes(64), "not an ONNX file"),
}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_what_has_no_place_in_a_decoder_is_refused_by_reading(rule: str) -> None:
    """The fault is named with a way out, in one line, and nothing was loaded for it."""
    make, words = RULES[rule]
    lines = list(inspected(DRAFT, make()))
    found = [line.finding for line in lines if line.finding]
    told = [str(one) for one in found if one.verdict == Verdict.REFUSED]
    assert any(words in one for one in told), told
    assert not any("\n" in one for one in told)
    assert "loads" not in [line.begins for line in lines]


def test_all_faults_are_told_at_once() -> None:
    """Somebody who exports again should not have to do it once per fault."""
    file = with_node("RandomNormalLike", ["latent"], domain="")
    draft = {"name": "theirs", "latent_dim": 9, "batch_size": 32, "size_bytes": 1}
    told = "\n".join(refusals(file, draft))
    for words in (
        "random",
        "latent_dim 8, the card says 9",
        "a batch of 64",
        "size_bytes",
        "labels",
    ):
        assert words in told


def of_open_height() -> bytes:
    """A decoder whose height follows from numbers: 4 and 2, but reading does not tell which."""
    order = numpy_helper.from_array(np.array([0, 1, 2, 3], np.int64))
    return of_nodes(
        helper.make_node("Constant", [], ["order"], value=order),
        helper.make_node("Cast", ["shape"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Exp", ["numbers"], ["e"]),
        helper.make_node("Log", ["e"], ["same"]),
        helper.make_node("Round", ["same"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["whole_numbers"], to=TensorProto.INT64),
        *grey_levels("latent"),
        image=("H", "W", "C"),
        shape="whole_numbers",
    )


SIGNATURES = {
    "names": (tiny_graph(latent_name="z"), DRAFT, "latent float32 [batch, latent_dim] is missing"),
    "also_told_as_extra": (tiny_graph(latent_name="z"), DRAFT, "z float32 [64, 8] is one too many"),
    "no_label": (tiny_graph(classes=0), DRAFT, "label int64 [batch] is missing, for the card"),
    "label": (tiny_graph(), {"name": "theirs"}, "asks for labels"),
    "float": (tiny_graph(uint8=False), DRAFT, "cast to uint8 inside the graph"),
    "channels_first": (
        tiny_graph(shape=(3, 8, 8)),
        DRAFT,
        "has 8 channels, not 1 or 3; channels come last",
    ),
    "image": (
        tiny_graph(),
        DRAFT | {"image": {"height": 16, "width": 8, "channels": 1}},
        "height 8, the card says 16",
    ),
    "batch": (tiny_graph(), DRAFT | {"batch_size": 32}, "batch of 64, the card says batch_size 32"),
    "odd_batch": (tiny_graph(batch_size=100), DRAFT, "the batch of 100 is no power of two"),
    "huge_batch": (tiny_graph(batch_size=2048), DRAFT, "the batch of 2048 is no power of two"),
    "two_batches": (
        changed(
            lambda model: setattr(
                model.graph.input[1].type.tensor_type.shape.dim[0], "dim_value", 32
            )
        ),
        DRAFT,
        "different batches",
    ),
    "open_height": (
        of_open_height(),
        {"name": "theirs"},
        "leaves height open (H): fix it in the export, or name image/height in the card",
    ),
    "digest": (tiny_graph(), DRAFT | {"digest": "0" * 64}, "left out of the card, it is filled in"),
}


@pytest.mark.parametrize("case", sorted(SIGNATURES))
def test_a_signature_that_is_not_the_contracts_is_told_with_what_is_wanted(case: str) -> None:
    """Names, types and shapes: what was found, and what the card or contract asks for."""
    file, draft, words = SIGNATURES[case]
    told = refusals(file, draft)
    assert any(words in one for one in told), told


def test_a_card_of_name_and_labels_is_completed_from_the_file() -> None:
    """Digest, size, latent, image, batch and precision are read, not typed."""
    file = tiny_graph(shape=(8, 16, 3))
    assert card_of(file, DRAFT) == DecoderCard(
        name="theirs",
        digest=sha256_hex(file),
        size_bytes=len(file),
        latent_dim=DIM,
        labels=DIGITS,
        image=ImageShape(height=8, width=16, channels=3),
        batch_size=BATCH,
    )


def test_a_full_card_is_kept_to_the_letter() -> None:
    """What `latentmill export` wrote passes as it is."""
    file, card = tiny_decoder()
    assert card_of(file, card.model_dump(mode="json")) == card


@pytest.mark.parametrize(("told", "batch_size"), [({}, 256), ({"batch_size": 16}, 16)])
def test_a_graph_of_any_batch_runs_on_the_cards(told: dict[str, int], batch_size: int) -> None:
    """The card fixes what the graph leaves open; without a word it is 256."""
    file = of_nodes(*grey_levels("latent"), batch="B")
    card = card_of(file, {"name": "theirs", **told})
    assert (card.batch_size, card.labels) == (batch_size, ())


def test_dimensions_left_open_are_read_from_the_graph_or_the_card() -> None:
    """torch's older exporter leaves height and width open where only the batch was asked to be."""
    square = {"height": 4, "width": 2, "channels": 1}
    image = ImageShape(**square)
    inferred = of_nodes(*grey_levels("latent"), batch="B", image=("H", "W", "C"))
    assert card_of(inferred, {"name": "theirs"}).image == image
    assert card_of(of_open_height(), {"name": "theirs", "image": square}).image == image
    other = {"height": 2, "width": 4, "channels": 1}
    told = refusals(of_open_height(), {"name": "theirs", "image": other})
    assert len(told) == 1
    assert told[0].startswith("loads: ")
    assert "[64, 2, 4, 1]" in told[0]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_variant_is_told_as_what_it_is(precision: Any) -> None:
    """The precision is read from the weights; a card that says otherwise is warned of."""
    file = variant(tiny_graph(shape=(16, 16, 1)), precision)
    assert card_of(file, DRAFT).precision == precision
    warned = [
        one for one in findings(file, DRAFT | {"precision": "fp32"}) if one.check == "precision"
    ]
    assert [one.verdict for one in warned] == [Verdict.WARNING]


def test_functions_of_the_file_are_looked_into_and_allowed() -> None:
    """They are inlined for the checks: what they stand for counts, not that they are there."""
    file = changed(lambda model: add_function(model, helper.make_node("Abs", ["x"], ["y"])))
    assert refusals(file) == []


def test_the_decoder_that_ships_passes() -> None:
    """The checks are no stricter than what we publish ourselves."""
    folder = Path(__file__).parents[1] / "deploy" / "decoders" / "mnist"
    file = (folder / "decoder.onnx").read_bytes()
    assert refusals(file) == []
