"""Variants in fp16 and int8: the contract's inputs and image, fewer bytes, and no sample that sees another."""

from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.precision_report import in_precision, precision_report
from export.publish import read_bundled
from export.stored_weights import per_channel
from export.variants import variant
from service.contract.card import DecoderCard, Precision
from service.contract.errors import ExportFailed
from service.contract.value import sha256_hex
from tests.fixtures.decoders import tiny_card, tiny_decoder
from workers.decoder import Decoder
from workers.latents import draw_latents

BATCH, DIM = 64, 8
SHORTER: tuple[Precision, ...] = ("fp16", "int8")


def of_two_layers() -> tuple[bytes, DecoderCard]:
    """A product, a ReLU and transposed convolution to 16x16 grey pixels, with random weights."""
    generator = np.random.default_rng(0)
    weights = {
        "dense": generator.standard_normal((DIM, 32 * 8 * 8), np.float32),
        "bias": generator.standard_normal(32 * 8 * 8, np.float32),
        "kernel": generator.standard_normal((32, 1, 4, 4), np.float32) / 8,
        "white": np.float32(255),
        "square": np.array([BATCH, 32, 8, 8], np.int64),
        "image_shape": np.array([BATCH, 16, 16, 1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["latent", "dense"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["positive"]),
        helper.make_node("Reshape", ["positive", "square"], ["planes"]),
        helper.make_node(
            "ConvTranspose", ["planes", "kernel"], ["logits"], strides=[2, 2], pads=[1, 1, 1, 1]
        ),
        helper.make_node("Sigmoid", ["logits"], ["mean"]),
        helper.make_node("Mul", ["mean", "white"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["rounded"]),
        helper.make_node("Reshape", ["rounded", "image_shape"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["image"], to=TensorProto.UINT8),
    ]
    latent = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [BATCH, DIM])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [BATCH, 16, 16, 1])
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "two_layers", [latent], [image], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    file = bytes(model.SerializeToString(deterministic=True))
    return file, tiny_card(file, labels=(), shape=(16, 16, 1))


DECODERS = {
    "dense": tiny_decoder(shape=(16, 16, 3), latent_dim=DIM),
    "unconditional": tiny_decoder(labels=(), shape=(16, 16, 3), latent_dim=DIM),
    "convolution": of_two_layers(),
}


def drawn(file: bytes, card: DecoderCard, latents: np.ndarray) -> np.ndarray:
    return Decoder(file, card).decode(latents, card.labels[3] if card.labels else None)


def sees_its_neighbours(file: bytes, card: DecoderCard) -> bool:
    """Whether even rows change when the odd ones become large, or the zeros of a padded batch."""
    latents = draw_latents(1, 0, BATCH, DIM)
    alone = drawn(file, card, latents)[::2]
    others = [latents.copy(), latents.copy()]
    others[0][1::2] *= 4
    others[1][1::2] = 0
    return any(not np.array_equal(drawn(file, card, other)[::2], alone) for other in others)


@pytest.mark.parametrize("name", sorted(DECODERS))
@pytest.mark.parametrize("precision", SHORTER)
def test_a_variant_draws_nearly_the_same_images_from_fewer_bytes(
    name: str, precision: Precision
) -> None:
    """It loads under the same card but for digest and size, and its pixels stay near."""
    file, card = DECODERS[name]
    latents = draw_latents(0, 0, BATCH, DIM)
    short, told = in_precision(file, card, precision)
    assert len(short) < len(file) * {"fp16": 0.7, "int8": 0.5}[precision]
    assert (told.precision, told.digest) == (precision, sha256_hex(short))
    assert told.size_bytes == len(short)
    apart = np.abs(drawn(short, told, latents).astype(int) - drawn(file, card, latents).astype(int))
    assert 0 < apart.mean() < {"fp16": 0.2, "int8": 3}[precision]


@pytest.mark.parametrize("name", sorted(DECODERS))
@pytest.mark.parametrize("precision", SHORTER)
def test_a_sample_of_a_variant_does_not_see_its_neighbours(name: str, precision: Precision) -> None:
    """Whatever shares the batch, other latents or padding, row i keeps its bits."""
    assert not sees_its_neighbours(*in_precision(*DECODERS[name], precision))


def test_the_usual_dynamic_quantisation_sees_its_neighbours(tmp_path: Path) -> None:
    """Why int8 is made here: ONNX Runtime's own takes one scale from the whole batch."""
    from onnxruntime.quantization import quantize_dynamic

    file, card = DECODERS["dense"]
    (tmp_path / "in.onnx").write_bytes(file)
    quantize_dynamic(tmp_path / "in.onnx", tmp_path / "out.onnx")
    usual = (tmp_path / "out.onnx").read_bytes()
    usual_card = card.model_copy(update={"digest": sha256_hex(usual)})
    assert sees_its_neighbours(usual, usual_card)


@pytest.mark.parametrize("precision", SHORTER)
def test_a_variant_is_a_function_of_the_decoder(precision: Precision) -> None:
    """Same bytes in, same bytes out: a digest names a variant for ever."""
    file, _ = DECODERS["convolution"]
    assert variant(file, precision) == variant(file, precision)


def test_fp32_is_the_decoder_itself() -> None:
    """No bytes change when nothing is to change."""
    file, _ = DECODERS["dense"]
    assert variant(file, "fp32") is file


def test_int8_multiplies_in_integers_and_keeps_kernels_short() -> None:
    """The product is one of integers; the convolution computes in float from int8 weights."""
    model = onnx.load_from_string(variant(DECODERS["convolution"][0], "int8"))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("MatMulInteger") == 1
    assert "MatMul" not in operators
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["kernel/int8"] == TensorProto.INT8


def test_every_output_channel_has_its_own_scale() -> None:
    """A channel of small weights keeps its precision beside one of large weights; zeros stay zeros."""
    weight = np.array([[1e-3, 100.0, 0], [-5e-4, 50.0, 0]], np.float32)
    short, scale = per_channel(weight, 1)
    assert short.tolist() == [[127, 127, 0], [-64, 64, 0]]
    assert (np.abs(short * scale - weight) <= 0.501 * scale).all()


def test_what_cannot_be_shortened_is_refused() -> None:
    """A weight that fp16 cannot hold, a graph without weights and an old opset are named."""
    model = onnx.load_from_string(DECODERS["dense"][0])
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1e6, "weight"))
    with pytest.raises(ExportFailed, match="weight holds numbers beyond the range of fp16"):
        variant(model.SerializeToString(), "fp16")
    with pytest.raises(ExportFailed, match="no float32 matrix that fp16 could shorten"):
        variant(variant(DECODERS["dense"][0], "fp16"), "fp16")
    model.opset_import[0].version = 17
    with pytest.raises(ExportFailed, match="opset 17 is too old"):
        variant(model.SerializeToString(), "int8")


def test_the_report_compares_all_precisions_with_fp32() -> None:
    """Bytes fall, pixels stay within a level in fp16, and speed is told as a ratio."""
    figures = precision_report(*read_bundled(), rounds=1)
    assert [of_one.precision for of_one in figures] == list(get_args(Precision))
    sizes = [of_one.size_bytes for of_one in figures]
    assert sizes[1] < 0.51 * sizes[0]
    assert sizes[2] < 0.27 * sizes[0]
    assert (figures[0].speed_to_fp32, figures[0].apart.mean) == (1, 0)
    assert figures[1].apart.largest <= 1
    assert figures[2].apart.mean < 1
    # int8 does move pixels: a comparison that finds nothing would pass for the other two.
    assert 0 < figures[2].apart.mean < figures[2].apart.largest
