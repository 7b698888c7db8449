"""From images to archives: decoders trained here, served through the queue, held against torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latentmill import Client
from PIL import Image

from export.arguments import TrainingArguments
from export.checkpoint import Checkpoint
from export.decoder import export_decoder
from export.publish import publish
from export.sources import open_data
from export.to_onnx import drawing_decoder
from export.train import train
from export.verify import ALLOWED_LEVELS
from service.adapters.storage import open_storage
from service.contract.settings import Settings, load_settings
from service.local.stack import Stack
from workers.decoder import Images
from workers.latents import draw_latents

pytestmark = pytest.mark.slow

SEED, COUNT = 20_261, 1500
COLOURS = {"amber": (240, 170, 20), "teal": (10, 130, 130)}
SMALL: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "latent_dim": 6,
    "hidden": 16,
    "encoder_hidden": 16,
    "feature_maps": 8,
    "couplings": 2,
    "coupling_hidden": 8,
}


def squares(colour: tuple[int, int, int], count: int = 30) -> Images:
    """RGB images of 32 x 32 with a square of this colour, somewhere: uint8 [count, 32, 32, 3]."""
    places = np.random.default_rng(sum(colour)).integers(0, 20, (count, 2))
    images = np.zeros((count, 32, 32, 3), np.uint8)
    for image, (top, left) in zip(images, places, strict=True):
        image[top : top + 12, left : left + 12] = colour
    return images


def rgb_file(folder: Path) -> str:
    """An NPZ file of two labels."""
    images = np.concatenate([squares(colour) for colour in COLOURS.values()])
    labels = np.repeat(np.array(list(COLOURS)), 30)
    np.savez(folder / "squares.npz", images=images, labels=labels)
    return str(folder / "squares.npz")


def image_folder(folder: Path) -> str:
    """A directory of PNG files for each label."""
    for label, colour in COLOURS.items():
        (folder / "squares" / label).mkdir(parents=True)
        for number, image in enumerate(squares(colour)):
            Image.fromarray(image).save(folder / "squares" / label / f"{number}.png")
    return str(folder / "squares")


def unlabelled(folder: Path) -> str:
    return "digits"


#: Name -> where its images come from, how they are read and trained on, and a label to ask for.
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str | None]] = {
    "unconditional": (unlabelled, {}, {"conditional": False}, None),
    "rgb": (rgb_file, {}, {"likelihood": "logistic"}, "teal"),
    "folder": (
        image_folder,
        {"size": (20, 20), "channels": 1},
        {"encoder": "convolutional", "decoder": "convolutional"},
        "amber",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_trained_decoder_is_served_as_torch_draws_it(
    name: str, stack: Stack, client: Client, tmp_path: Path
) -> None:
    """Images of a finished job are those of the checkpoint in PyTorch, within one grey level."""
    source, reading, training, label = CASES[name]
    data = open_data(source(tmp_path), cache=tmp_path, **reading)
    checkpoint = train(data, TrainingArguments(**SMALL | training))
    onnx, card = export_decoder(checkpoint, name=f"trained-{name}", batch_size=64)
    publish(open_storage(load_settings(Settings, **stack.settings)), onnx, card)

    job = client.wait(client.submit(card.name, label, count=COUNT, seed=SEED, format="npz"))
    served = client.arrays(job).images
    drawn = drawn_by_torch(checkpoint, label)
    assert served.shape == drawn.shape == (COUNT, *data.train.images.shape[1:])
    assert np.abs(served.astype(np.int16) - drawn).max() <= ALLOWED_LEVELS
    assert len(np.unique(served.reshape(COUNT, -1), axis=0)) > COUNT // 2
    assert client.verify(job).is_intact


@torch.no_grad()
def drawn_by_torch(checkpoint: Checkpoint, label: str | None) -> Images:
    latents = torch.from_numpy(draw_latents(SEED, 0, COUNT, SMALL["latent_dim"]))
    ids = None if label is None else torch.full((COUNT,), checkpoint.facts.labels.index(label))
    images: Images = drawing_decoder(checkpoint)(latents, ids).numpy()
    return images
