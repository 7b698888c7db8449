"""A decoder keeps its card or is refused; a sample's pixels do not hang on where it is decoded."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, load_from_string, numpy_helper

from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused
from service.contract.shard import BLOCK
from tests.fixtures.decoders import tiny_card, tiny_decoder, tiny_graph
from workers.decoder import Decoder
from workers.latents import draw_latents

BATCH, DIM = 64, 8

#: By which ONNX Runtime recognises continuous integration.
CI_VARIABLES = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "BUILD_BUILDID", "GITLAB_CI", "JENKINS_URL"}


def graph_whose_shape_shows_when_run() -> bytes:
    """A decoder whose output shape hangs on the latents, so that loading cannot tell it."""
    nodes = [
        helper.make_node("ReduceMax", ["latent"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["more"], to=TensorProto.INT64),
        helper.make_node("Add", ["shape", "more"], ["real_shape"]),
        helper.make_node(
            "ConstantOfShape",
            ["real_shape"],
            ["image"],
            value=numpy_helper.from_array(np.zeros(1, np.uint8)),
        ),
    ]
    latent = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [BATCH, DIM])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", "H", "W", "C"])
    shape = numpy_helper.from_array(np.array([BATCH, 8, 8, 1], np.int64), "shape")
    graph = helper.make_graph(nodes, "black", [latent], [image], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def refused(file: bytes, card: DecoderCard) -> str:
    with pytest.raises(DecoderRefused) as error:
        Decoder(file, card)
    return str(error.value)


@dataclass(frozen=True)
class Wrong:
    """A file, a card, and the words that the refusal must hold."""

    file: Callable[[], bytes]
    card: Callable[[bytes], DecoderCard]
    words: tuple[str, ...]


WRONG = {
    "digest": Wrong(
        lambda: tiny_graph(seed=1), lambda _: tiny_decoder()[1], ("sha256", "its card says")
    ),
    "not_onnx": Wrong(lambda: b"not an ONNX file", tiny_card, ("not an ONNX file that loads",)),
    "empty": Wrong(lambda: b"", tiny_card, ("not an ONNX file that loads",)),
    "cut_off": Wrong(lambda: tiny_graph()[:-100], tiny_card, ("not an ONNX file that loads",)),
    "input_name": Wrong(lambda: tiny_graph(latent_name="z"), tiny_card, ("'z'", "'latent'")),
    "no_label_input": Wrong(lambda: tiny_graph(classes=0), tiny_card, ("'label'", "tensor(int64)")),
    "a_label_input": Wrong(
        tiny_graph, lambda file: tiny_card(file, labels=()), ("'label'", "tensor(int64)")
    ),
    "float_output": Wrong(
        lambda: tiny_graph(uint8=False), tiny_card, ("tensor(float)", "tensor(uint8)")
    ),
    "latent_dim": Wrong(
        tiny_graph, lambda file: tiny_card(file, latent_dim=9), ("[64, 8]", "[64, 9]")
    ),
    "batch": Wrong(tiny_graph, lambda file: tiny_card(file, batch_size=32), ("[64, 8]", "[32, 8]")),
    "image": Wrong(
        tiny_graph,
        lambda file: tiny_card(file, shape=(8, 8, 3)),
        ("[64, 8, 8, 1]", "[64, 8, 8, 3]"),
    ),
    "image_that_shows_when_run": Wrong(
        graph_whose_shape_shows_when_run,
        lambda file: tiny_card(file, labels=(), shape=(4, 16, 1)),
        ("yields uint8 [64, 8, 8, 1]", "uint8 [64, 4, 16, 1]"),
    ),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_decoder_that_does_not_keep_its_card_is_refused_in_one_line(case: str) -> None:
    """At publish and at load the same sentence says what was found and what the card says."""
    wrong = WRONG[case]
    file = wrong.file()
    message = refused(file, wrong.card(file))
    assert message.startswith("decoder tiny ")
    assert "\n" not in message
    assert all(word in message for word in wrong.words), message


def test_a_gpu_that_is_not_there_is_no_silent_cpu() -> None:
    """ONNX Runtime falls back to the CPU with a warning at most, CUDA built in or not; we refuse to start."""
    code = (
        "from tests.fixtures.decoders import tiny_decoder; from workers.decoder import Decoder\n"
        "Decoder(*tiny_decoder(), device='cuda')"
    )
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, env=hidden, capture_output=True, text=True, timeout=60, check=False
    )
    assert "StartRefused" in ended.stderr.splitlines()[-1]
    assert "LATENTMILL_DEVICE=cuda" in ended.stderr.splitlines()[-1]


def with_weights_in_a_file(location: str) -> bytes:
    """A decoder whose matrix is not in its own bytes."""
    model = load_from_string(tiny_graph(shape=(32, 32, 1)))
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    Path(location).write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    return model.SerializeToString(deterministic=True)


def test_a_file_of_the_worker_is_never_read_as_weights(tmp_path: Path) -> None:
    """ONNX Runtime reads external data of bytes from the working folder; a decoder is one file."""
    with chdir(tmp_path):
        file = with_weights_in_a_file("weights.bin")
        # The danger is real: left to itself, ONNX Runtime takes the file.
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        message = refused(file, tiny_card(file, shape=(32, 32, 1)))
    assert "External data path" in message


def test_decoding_tells_nobody(tmp_path: Path) -> None:
    """ONNX Runtime neither reports home nor writes a machine id into the home folder."""
    code = (
        "from export.publish import load_folder; from workers.decoder import Decoder\n"
        "from pathlib import Path; import sys\n"
        "Decoder(*load_folder(Path(sys.argv[1])))"
    )
    file, card = tiny_decoder()
    (tmp_path / "decoder.onnx").write_bytes(file)
    (tmp_path / "card.json").write_bytes(card.to_json())
    home = tmp_path / "home"
    home.mkdir()
    unset = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    # ONNX Runtime keeps quiet in CI by itself, which would hide the fault there.
    hidden = {name: value for name, value in unset.items() if name not in CI_VARIABLES}
    command = [sys.executable, "-P", "-c", code, str(tmp_path)]
    subprocess.run(command, env=hidden | {"HOME": str(home)}, check=True, timeout=60)
    assert list(home.rglob("*")) == []


def whole_block(decoder: Decoder, label: str | None) -> np.ndarray:
    return decoder.decode(draw_latents(42, 0, BLOCK, DIM), label)


#: Large enough for ONNX Runtime to split one forward pass between threads.
LARGE = {"latent_dim": DIM, "shape": (32, 32, 3), "batch_size": BATCH}
KINDS = {
    "conditional": (tiny_decoder(**LARGE), "3"),
    "unconditional": (tiny_decoder(labels=(), **LARGE), None),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("threads", [1, 2])
def test_images_are_what_the_card_says(kind: str, threads: int) -> None:
    """uint8 [n, H, W, C], and different samples look different."""
    (file, card), label = KINDS[kind]
    images = whole_block(Decoder(file, card, threads=threads), label)
    assert (images.shape, images.dtype) == ((BLOCK, 32, 32, 3), np.uint8)
    assert len({image.tobytes() for image in images}) == BLOCK


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(
    first=st.integers(0, BLOCK // BATCH - 1),
    samples=st.integers(1, 3 * BATCH),
    threads=st.sampled_from([1, 2]),
)
@settings(max_examples=40)
def test_a_sample_has_the_same_bits_wherever_it_is_decoded(
    kind: str, first: int, samples: int, threads: int
) -> None:
    """Last in a padded batch, amid a range, by 1 thread or 2: sample i has one array of pixels."""
    (file, card), label = KINDS[kind]
    start = first * BATCH
    stop = min(start + samples, BLOCK)
    part = Decoder(file, card, threads=threads).decode(draw_latents(42, start, stop, DIM), label)
    assert part.tobytes() == whole_block(Decoder(file, card), label)[start:stop].tobytes()


def test_the_batch_size_of_two_cards_does_not_show_in_the_pixels() -> None:
    """On one CPU the batch is invisible: exported again with another one, a decoder draws alike."""
    small, large = (Decoder(*tiny_decoder(batch_size=size)) for size in (16, 256))
    assert whole_block(small, "3").tobytes() == whole_block(large, "3").tobytes()


def test_labels_steer_the_image() -> None:
    """One latent under two labels is two images, and the label's id is its place on the card."""
    decoder = Decoder(*tiny_decoder())
    three, four = (whole_block(decoder, label) for label in ("3", "4"))
    assert not np.array_equal(three, four)
    renamed = Decoder(*tiny_decoder(labels=tuple("9876543210")))
    assert np.array_equal(whole_block(renamed, "6"), three)


def test_a_label_that_the_card_lacks_is_an_error() -> None:
    """The API refuses it long before; a worker never guesses an id."""
    with pytest.raises(ValueError, match="not in tuple"):
        whole_block(Decoder(*tiny_decoder()), "10")
