"""The exported file keeps the contract, is the same each time, and draws what PyTorch draws."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.batch_size import BATCH_SIZES, smallest_near_best, speeds
from export.checkpoint import Checkpoint
from export.decoder import export_decoder, write_folder
from export.publish import load_folder
from export.to_onnx import to_onnx
from export.verify import agreement, verify
from service.contract.card import DecoderCard
from service.contract.errors import ExportFailed
from service.contract.value import sha256_hex
from workers.decoder import Decoder
from workers.latents import draw_latents

Exported = tuple[bytes, DecoderCard]


@pytest.fixture(scope="module")
def exported(digits_checkpoint: Checkpoint) -> Exported:
    return export_decoder(digits_checkpoint, name="digits", batch_size=64)


def test_export_is_one_file_with_the_contracts_signature(exported: Exported) -> None:
    """Inputs, output, types and fixed shapes are those of the contract, the weights are inside."""
    file, card = exported
    graph = onnx.load_from_string(file).graph
    kinds = {
        value.name: (
            value.type.tensor_type.elem_type,
            [d.dim_value for d in value.type.tensor_type.shape.dim],
        )
        for value in (*graph.input, *graph.output)
    }
    assert kinds == {
        "latent": (onnx.TensorProto.FLOAT, [64, 8]),
        "label": (onnx.TensorProto.INT64, [64]),
        "image": (onnx.TensorProto.UINT8, [64, 8, 8, 1]),
    }
    assert not any(tensor.external_data for tensor in graph.initializer)
    assert (card.digest, card.size_bytes) == (sha256_hex(file), len(file))


def test_same_checkpoint_gives_the_same_bytes(
    digits_checkpoint: Checkpoint, exported: Exported
) -> None:
    """File and card are a function of the checkpoint; across processes, see the command's test."""
    onnx_again, card_again = export_decoder(digits_checkpoint, name="digits", batch_size=64)
    assert onnx_again == exported[0]
    assert card_again.to_json() == exported[1].to_json()


def test_file_tells_nothing_of_where_it_was_made(exported: Exported) -> None:
    """No source path, stack trace, user or version of the exporter is left in the file."""
    model = onnx.load_from_string(exported[0])
    assert str(Path.cwd()).encode() not in exported[0]
    assert b"File " not in exported[0]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert model.producer_version == ""


def test_workers_draw_what_pytorch_draws(exported: Exported, digits_checkpoint: Checkpoint) -> None:
    """Over a block of every label pixels agree within 1 grey level, and the card says how well."""
    found = agreement(digits_checkpoint, *exported)
    assert found.images == 10 * 1024
    assert found.pixels == 10 * 1024 * 64
    assert found.largest_difference <= 1
    assert exported[1].quality["onnx_against_torch"] == found.for_card()


def test_another_decoder_is_told_from_this_one(
    exported: Exported, digits_checkpoint: Checkpoint
) -> None:
    """The comparison is no formality: weights moved a little fail it, with the figures."""
    moved = {
        name: tensor + 0.05 if name == "decoder.to_logits.bias" else tensor
        for name, tensor in digits_checkpoint.weights.items()
    }
    with pytest.raises(ExportFailed, match=r"disagree: 10240 images, \d+ of 655360 pixels differ"):
        verify(replace(digits_checkpoint, weights=moved), *exported)


def test_label_and_latent_decide_the_image(exported: Exported) -> None:
    """Other labels and other latents give other images; the one-hot is inside the graph."""
    decoder = Decoder(*exported)
    latents = draw_latents(1, 0, 64, 8)
    images = [decoder.decode(latents, label) for label in "0123456789"]
    assert len({batch.tobytes() for batch in images}) == 10
    assert len(np.unique(images[3].reshape(64, -1), axis=0)) == 64


def test_grey_levels_are_the_rounded_bernoulli_means(
    exported: Exported, digits_checkpoint: Checkpoint
) -> None:
    """255 times the mean, rounded: computed here by hand from the weights."""
    weights = {name: tensor.numpy() for name, tensor in digits_checkpoint.weights.items()}
    latents = draw_latents(5, 0, 64, 8)
    hidden = np.concatenate([latents, np.eye(10, dtype=np.float32)[[4] * 64]], axis=1)
    for layer in ("decoder.layers.0", "decoder.layers.2"):
        hidden = np.maximum(hidden @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"], 0)
    logits = hidden @ weights["decoder.to_logits.weight"].T + weights["decoder.to_logits.bias"]
    by_hand = np.round(255 / (1 + np.exp(-logits))).reshape(64, 8, 8, 1)
    images = Decoder(*exported).decode(latents, "4")
    assert np.abs(images.astype(int) - by_hand).max() <= 1


def test_card_holds_where_the_decoder_came_from(
    exported: Exported, digits_checkpoint: Checkpoint
) -> None:
    """Training data with sums, arguments and quality: a reader of the card needs no checkpoint."""
    card, facts = exported[1], digits_checkpoint.facts
    assert card.labels == tuple("0123456789")
    assert card.training["data"] == {"name": "digits", "sha256": facts.files}
    assert card.training["arguments"] == facts.arguments.model_dump()
    assert card.quality.items() >= facts.quality.items()
    assert DecoderCard.model_validate_json(card.to_json()) == card


def test_written_folder_is_read_back(tmp_path: Path, exported: Exported) -> None:
    """What export writes is what publish reads."""
    write_folder(tmp_path / "deep" / "out", *exported)
    assert load_folder(tmp_path / "deep" / "out") == exported


def test_smallest_batch_within_a_tenth_of_the_best_is_chosen() -> None:
    """10 % of the throughput is given for a small batch, and no more."""
    assert smallest_near_best({64: 80.0, 128: 91.0, 256: 100.0, 512: 99.0}) == 128
    assert smallest_near_best({64: 80.0, 128: 89.0, 256: 98.0, 512: 110.0}) == 512
    assert smallest_near_best({1: 5.0}) == 1


def test_every_allowed_batch_size_is_measured(digits_checkpoint: Checkpoint) -> None:
    """Throughput is measured for each power of two up to a block, and batching does pay."""
    found = speeds(digits_checkpoint)
    assert tuple(found) == BATCH_SIZES == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert max(found.values()) > 2 * found[1]
    assert smallest_near_best(found) > 1


def test_graph_of_any_batch_draws_the_same_as_the_fixed_one(
    digits_checkpoint: Checkpoint, exported: Exported
) -> None:
    """What is measured is what is shipped: the graph used for measuring draws the same pixels."""
    any_batch = to_onnx(digits_checkpoint, batch_size=None)
    card = exported[1].model_copy(update={"digest": sha256_hex(any_batch)})
    latents = draw_latents(0, 0, 200, 8)
    one, other = Decoder(any_batch, card), Decoder(*exported)
    assert np.array_equal(one.decode(latents, "7"), other.decode(latents, "7"))


@pytest.mark.parametrize(
    ("name", "batch_size", "words"),
    [("Capital", 64, "name: "), ("digits", 48, "a power of two")],
)
def test_a_card_that_would_be_refused_is_not_exported(
    digits_checkpoint: Checkpoint, name: str, batch_size: int, words: str
) -> None:
    """A bad name or batch size is told before anything is written."""
    with pytest.raises(ExportFailed, match=words):
        export_decoder(digits_checkpoint, name=name, batch_size=batch_size)


def test_exporting_leaves_torch_as_it_was(digits_checkpoint: Checkpoint) -> None:
    """The random state of the process is where it was, and gradients are still on."""
    before = torch.get_rng_state()
    to_onnx(digits_checkpoint, batch_size=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
