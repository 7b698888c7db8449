"""The committed decoder: whole, small, what its card says, and its digits are the digits asked for."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from export.datasets.published import MNIST as PUBLISHED
from export.presets import DEFAULT_PRESET, PRESETS
from export.publish import load_folder, read_bundled
from export.sources import idx_folder
from service.contract.card import DecoderCard
from workers.decoder import Decoder, Images
from workers.latents import draw_latents

ROOT = Path(__file__).parents[1]
MNIST = ROOT.parent / "shared" / "data" / "mnist"
#: A decoder in a wheel and in git stays small.
MOST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(*read_bundled("mnist"))


def test_committed_decoder_ships_as_it_is_committed() -> None:
    """What the package reads is the folder under `deploy/`, and the card vouches for the file."""
    onnx, card = read_bundled("mnist")
    assert (onnx, card) == load_folder(ROOT / "deploy" / "decoders" / "mnist")
    assert card.size_bytes == len(onnx) <= MOST_BYTES


def test_committed_card_says_where_the_decoder_came_from(decoder: Decoder) -> None:
    """Ten labels of 28x28, trained on MNIST's own files, measured and compared with PyTorch."""
    card: DecoderCard = decoder.card
    assert card.labels == tuple("0123456789")
    assert (card.image.height, card.image.width, card.image.channels) == (28, 28, 1)
    sums = set(card.training["data"]["sha256"].values())
    assert sums == {checksum.sha256 for checksum in PUBLISHED.files.values()}
    assert card.quality["onnx_against_torch"]["largest_difference_levels"] <= 1
    assert card.quality["test_negative_elbo_nats"] < 90


def test_committed_decoder_is_the_default_presets(decoder: Decoder) -> None:
    """Whoever trains with nothing said trains what ships."""
    assert decoder.card.training["arguments"] == PRESETS[DEFAULT_PRESET].arguments.model_dump()


def test_committed_card_has_the_figures_of_its_report(decoder: Decoder) -> None:
    """What the card promises of three evaluation seeds, judged by a classifier worth asking."""
    found = decoder.card.quality["evaluation"]
    assert (found["data"], found["seeds"]) == ("mnist", 3)
    assert found["reference_classifier_accuracy"] >= 0.992
    assert found["label_fidelity"]["mean"] >= 0.98
    assert found["classification_accuracy_score"]["mean"] >= 0.98
    assert found["nll_given_label_nats"]["samples"] == 5000
    assert found["nll_given_label_nats"]["mean"] <= 82.5


def draw(decoder: Decoder, label: str, count: int, temperature_milli: int) -> Images:
    dim = decoder.card.latent_dim
    return decoder.decode(
        draw_latents(42, 0, count, dim, temperature_milli=temperature_milli), label
    )


def test_committed_decoder_draws_strokes_on_black(decoder: Decoder) -> None:
    """Every label gives different images with a black ground and bright strokes."""
    for label in decoder.card.labels:
        images = draw(decoder, label, 64, 1000).reshape(64, -1)
        assert len(np.unique(images, axis=0)) == 64
        assert np.median(images) == 0
        assert (images.max(axis=1) > 150).mean() > 0.9


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST in ../shared/data/mnist")
def test_a_reader_taught_on_real_digits_reads_the_asked_label(decoder: Decoder) -> None:
    """A small classifier that never saw a generated digit reads what was asked for."""
    real = idx_folder(MNIST)
    reader = SVC(C=10).fit(_rows(real.train.images[:2000]), real.train.labels[:2000])
    assert reader.score(_rows(real.test.images[:500]), real.test.labels[:500]) > 0.88
    assert _share_read(reader, decoder, temperature_milli=1000) > 0.85
    assert _share_read(reader, decoder, temperature_milli=600) > 0.95


def _rows(images: Images) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)


def _share_read(reader: SVC, decoder: Decoder, *, temperature_milli: int) -> float:
    shares = [
        np.mean(reader.predict(_rows(draw(decoder, label, 40, temperature_milli))) == label_id)
        for label_id, label in enumerate(decoder.card.labels)
    ]
    return float(np.mean(shares))
