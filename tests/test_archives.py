"""Archives: readable by everybody's tools, and equal bytes for equal samples."""

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from service.contract.card import DecoderCard
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.decoders import tiny_decoder
from workers.archives import new_archive
from workers.decoder import Decoder, Images
from workers.latents import draw_latents

SHARD = Shard(index=1, start=BLOCK, stop=BLOCK + 300)
SHAPES = [(8, 8, 1), (5, 9, 3), (1, 1, 1)]


def recipe_of(card: DecoderCard, format: Format, compression: Compression) -> Recipe:
    return Recipe(
        decoder=card.digest,
        label="3" if card.labels else None,
        seed=7,
        format=format,
        compression=compression,
        shard_size=BLOCK,
    )


def images_of(decoder: Decoder) -> Images:
    latents = draw_latents(7, SHARD.start, SHARD.stop, decoder.card.latent_dim)
    return decoder.decode(latents, "3" if decoder.card.labels else None)


def archived(images: Images, recipe: Recipe, card: DecoderCard, *, step: int = 300) -> bytes:
    archive = new_archive(recipe, SHARD, card)
    for start in range(0, len(images), step):
        archive.add(images[start : start + step])
    return archive.finish()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compression", list(Compression))
def test_a_zip_holds_every_sample_as_a_png(
    shape: tuple[int, int, int], compression: Compression
) -> None:
    """zipfile finds every CRC right, and Pillow reads back the very pixels, grey and RGB."""
    decoder = Decoder(*tiny_decoder(shape=shape))
    images = images_of(decoder)
    data = archived(images, recipe_of(decoder.card, Format.ZIP, compression), decoder.card)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for offset in (0, 1, 299):
            with Image.open(archive.open(f"3/{BLOCK + offset:012d}.png")) as image:
                pixels = np.asarray(image).reshape(shape)
            assert (pixels == images[offset]).all()
        assert len(archive.namelist()) == 301


def test_a_zip_is_an_image_folder_with_metadata() -> None:
    """metadata.csv names every file with its label and index, as Hugging Face reads it."""
    decoder = Decoder(*tiny_decoder())
    recipe = recipe_of(decoder.card, Format.ZIP, Compression.FAST)
    data = archived(images_of(decoder), recipe, decoder.card)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("metadata.csv"))))
        assert [row["file_name"] for row in rows] == archive.namelist()[:-1]
    assert [int(row["index"]) for row in rows] == list(range(SHARD.start, SHARD.stop))
    assert {row["label"] for row in rows} == {"3"}


def test_a_zip_of_an_unconditional_decoder_has_no_folder() -> None:
    """Without labels there is nothing to name a folder by."""
    decoder = Decoder(*tiny_decoder(labels=()))
    recipe = recipe_of(decoder.card, Format.ZIP, Compression.FAST)
    with zipfile.ZipFile(io.BytesIO(archived(images_of(decoder), recipe, decoder.card))) as archive:
        assert archive.namelist()[0] == f"{BLOCK:012d}.png"


@pytest.mark.parametrize("compression", list(Compression))
def test_an_npz_is_read_by_numpy(compression: Compression) -> None:
    """Without pickle: images, label ids with their names, and indexes."""
    decoder = Decoder(*tiny_decoder())
    images = images_of(decoder)
    data = archived(images, recipe_of(decoder.card, Format.NPZ, compression), decoder.card)
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert (arrays["images"] == images).all()
        assert arrays["images"].dtype == np.uint8
        assert arrays["label_names"][arrays["labels"]].tolist() == ["3"] * 300
        assert arrays["indexes"].tolist() == list(range(SHARD.start, SHARD.stop))


@pytest.mark.parametrize("format", list(Format))
def test_equal_samples_give_equal_bytes(format: Format) -> None:
    """However the samples were handed over; nothing of the time or the machine's user is in an archive."""
    decoder = Decoder(*tiny_decoder())
    images, recipe = images_of(decoder), recipe_of(decoder.card, format, Compression.FAST)
    whole = archived(images, recipe, decoder.card)
    assert archived(images, recipe, decoder.card, step=7) == whole


def test_compressions_differ_in_size_only() -> None:
    """`small` is smaller than `fast`, `fast` smaller than `none`."""
    decoder = Decoder(*tiny_decoder(shape=(28, 28, 1)))
    images = images_of(decoder) // 64 * 64
    none, fast, small = (
        len(archived(images, recipe_of(decoder.card, Format.ZIP, level), decoder.card))
        for level in (Compression.NONE, Compression.FAST, Compression.SMALL)
    )
    assert small < fast < none


def test_the_largest_shard_fits_into_a_zip() -> None:
    """63 blocks and metadata.csv stay below the 65,535 members of a ZIP without ZIP64."""
    _, card = tiny_decoder(shape=(1, 1, 1))
    recipe = recipe_of(card, Format.ZIP, Compression.NONE)
    shard = Shard(index=0, start=0, stop=63 * BLOCK)
    archive = new_archive(recipe.model_copy(update={"shard_size": 63 * BLOCK}), shard, card)
    archive.add(np.zeros((shard.samples, 1, 1, 1), np.uint8))
    with zipfile.ZipFile(io.BytesIO(archive.finish())) as read:
        assert len(read.namelist()) == 63 * BLOCK + 1
