"""The decoder card: what it refuses, and how labels become ids."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.contract.card import DecoderCard, ImageShape
from tests.fixtures.cards import MNIST, card_of


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"contract": 2}, "contract 2 is not 1"),
        ({"name": "MNIST"}, "name"),
        ({"name": "../mnist"}, "name"),
        ({"digest": "a" * 63}, "digest"),
        ({"digest": "A" * 64}, "digest"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"latent_dim": 20.0}, "latent_dim"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 100}, "power of two"),
        ({"batch_size": 2048}, "batch_size"),
        ({"labels": ("a", "a")}, "unique"),
        ({"labels": ("a", "a/b")}, "labels"),
        ({"labels": ("", "a")}, "labels"),
        ({"labels": (".a",)}, "labels"),
        ({"labels": ("x" * 65,)}, "labels"),
        ({"labels": (3,)}, "labels"),
        ({"batchsize": 256}, "batchsize"),
        ({"precision": "fp8"}, "precision"),
    ],
)
def test_a_card_outside_the_contract_is_refused(wrong: dict[str, Any], why: str) -> None:
    """Exporter, API and workers can trust every field of a card that they read."""
    with pytest.raises(ValidationError, match=why):
        card_of(**wrong)


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(0, 28, 1), (28, 1025, 1), (28, 28, 2), (28, 28, 4)]
)
def test_images_are_grey_or_rgb_and_not_huge(height: int, width: int, channels: int) -> None:
    """Every archive format here can hold 1 or 3 channels up to 1,024 pixels a side."""
    with pytest.raises(ValidationError):
        ImageShape(height=height, width=width, channels=channels)


def test_label_ids_follow_the_order_of_the_card() -> None:
    """The position is the id that the graph takes, whatever the label looks like."""
    card = card_of(labels=("9", "cat", "0"))
    assert [card.label_id(label) for label in ("9", "cat", "0")] == [0, 1, 2]
    with pytest.raises(ValueError, match="not in tuple"):
        card.label_id("dog")


@pytest.mark.parametrize("batch_size", [1, 2, 256, 1024])
def test_batch_sizes_are_powers_of_two(batch_size: int) -> None:
    """They divide the block of 1,024, so a sample's row is its index modulo the batch."""
    assert 1024 % card_of(batch_size=batch_size).batch_size == 0


def test_card_json_reads_back_as_written() -> None:
    """`card.json` holds lists where the value holds tuples; notes for readers pass through."""
    card = card_of(training={"epochs": 10, "beta": 1.0}, quality={"elbo": -95.8})
    assert DecoderCard.model_validate_json(card.to_json()) == card
    assert card.to_json().endswith(b"}\n")


def test_a_card_from_before_precisions_is_one_of_fp32() -> None:
    """Cards in storage keep their meaning; only a variant says otherwise."""
    assert card_of().precision == "fp32"
    assert card_of(precision="int8").precision == "int8"


def test_an_image_knows_its_size() -> None:
    """One byte per pixel and channel."""
    assert MNIST["image"].size_bytes == 784
    assert ImageShape(height=2, width=3, channels=3).size_bytes == 18
