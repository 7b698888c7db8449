"""Archives: readable by everybody's tools, and equal bytes for equal samples."""

import csv
import gc
import io
import subprocess
import tarfile
import zipfile
from importlib.metadata import version

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from service.contract.card import DecoderCard
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.decoders import tiny_decoder
from workers.archives import new_archive
from workers.body import Body
from workers.decoder import Decoder, Images
from workers.latents import draw_latents

SHARD = Shard(index=1, start=BLOCK, stop=BLOCK + 300)
SHAPES = [(8, 8, 1), (5, 9, 3), (1, 1, 1)]
PLACES = (0, 1, 299)


def recipe_of(
    card: DecoderCard, format: Format, compression: Compression = Compression.FAST
) -> Recipe:
    return Recipe(
        decoder=card.digest,
        label="3" if card.labels else None,
        seed=7,
        format=format,
        compression=compression,
        shard_size=BLOCK,
    )


def images_of(decoder: Decoder, shard: Shard = SHARD) -> Images:
    latents = draw_latents(7, shard.start, shard.stop, decoder.card.latent_dim)
    return decoder.decode(latents, "3" if decoder.card.labels else None)


def archived(
    images: Images,
    recipe: Recipe,
    card: DecoderCard,
    *,
    step: int = 300,
    shard: Shard = SHARD,
    body: Body | None = None,
) -> bytes:
    body = body or Body()
    archive = new_archive(recipe, shard, card, body)
    for start in range(0, len(images), step):
        archive.add(images[start : start + step])
    archive.finish()
    return bytes(body.view())


def pixels_of(png: bytes, like: Images) -> Images:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).reshape(like.shape)


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
        for offset in PLACES:
            png = archive.read(f"3/{BLOCK + offset:012d}.png")
            assert (pixels_of(png, images[offset]) == images[offset]).all()
        assert len(archive.namelist()) == 301


def test_a_zip_is_an_image_folder_with_metadata() -> None:
    """metadata.csv names every file with its label and index, as Hugging Face reads it."""
    decoder = Decoder(*tiny_decoder())
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.ZIP), decoder.card)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("metadata.csv"))))
        assert [row["file_name"] for row in rows] == archive.namelist()[:-1]
    assert [int(row["index"]) for row in rows] == list(range(SHARD.start, SHARD.stop))
    assert {row["label"] for row in rows} == {"3"}


def test_a_zip_of_an_unconditional_decoder_has_no_folder() -> None:
    """Without labels there is nothing to name a folder by."""
    decoder = Decoder(*tiny_decoder(labels=()))
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.ZIP), decoder.card)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compression", list(Compression))
def test_a_tar_holds_every_sample_as_a_png_and_its_label(
    shape: tuple[int, int, int], compression: Compression
) -> None:
    """Python's tarfile, which sums every header up, finds pairs that belong together, and the very pixels."""
    decoder = Decoder(*tiny_decoder(shape=shape))
    images = images_of(decoder)
    data = archived(images, recipe_of(decoder.card, Format.TAR, compression), decoder.card)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        names = [f"{index:012d}" for index in range(SHARD.start, SHARD.stop)]
        assert archive.getnames() == [f"{name}.{kind}" for name in names for kind in ("png", "cls")]
        for offset in PLACES:
            png, label = (
                archive.extractfile(f"{names[offset]}.{kind}").read()  # type: ignore[union-attr]
                for kind in ("png", "cls")
            )
            assert (pixels_of(png, images[offset]) == images[offset]).all()
            assert label == b"3"


def test_a_tar_tells_nothing_of_its_maker() -> None:
    """Regular files of nobody and of no time in plain ustar, which ends with two empty blocks."""
    decoder = Decoder(*tiny_decoder())
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.TAR), decoder.card)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        told = {
            (one.type, one.mode, one.uid, one.gid, one.uname, one.gname, one.mtime)
            for one in archive
        }
        end = max(one.offset_data + 512 * -(-one.size // 512) for one in archive)
    assert told == {(tarfile.REGTYPE, 0o644, 0, 0, "", "", 0)}
    assert data[257:265] == b"ustar\x0000"
    assert data[end:] == bytes(1024)


def test_a_tar_fills_its_blocks_with_zeros() -> None:
    """Nothing of a file is left behind a smaller one: GNU tar finds not a byte to warn of."""
    decoder = Decoder(*tiny_decoder())
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.TAR), decoder.card)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for one in archive:
            end = one.offset_data + one.size
            assert not any(data[end : end + -one.size % 512])
    listed = subprocess.run(["tar", "-t"], input=data, capture_output=True, check=True)
    assert listed.stderr == b""
    assert len(listed.stdout.splitlines()) == 600


def test_a_tar_of_an_unconditional_decoder_has_no_labels() -> None:
    """Without labels there is no `.cls` to read."""
    decoder = Decoder(*tiny_decoder(labels=()))
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.TAR), decoder.card)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        assert archive.getnames() == [f"{i:012d}.png" for i in range(SHARD.start, SHARD.stop)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compression", list(Compression))
def test_a_parquet_file_holds_every_sample(
    shape: tuple[int, int, int], compression: Compression
) -> None:
    """Arrow reads each image's file and its name, the label's id, and the index."""
    decoder = Decoder(*tiny_decoder(shape=shape))
    images = images_of(decoder)
    data = archived(images, recipe_of(decoder.card, Format.PARQUET, compression), decoder.card)
    table = pq.read_table(io.BytesIO(data)).to_pydict()
    for offset in PLACES:
        picture = table["image"][offset]
        assert (pixels_of(picture["bytes"], images[offset]) == images[offset]).all()
        assert picture["path"] == f"{BLOCK + offset:012d}.png"
    assert table["label"] == [3] * 300
    assert table["index"] == list(range(SHARD.start, SHARD.stop))


def test_a_parquet_file_tells_hugging_face_what_it_holds() -> None:
    """The metadata is what `datasets` 5.2 writes for an Image, a ClassLabel and a number."""
    decoder = Decoder(*tiny_decoder(labels=("3", "cat")))
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.PARQUET), decoder.card)
    schema = pq.read_schema(io.BytesIO(data))
    assert schema.metadata[b"huggingface"] == (
        b'{"info": {"features": {"image": {"_type": "Image"}, '
        b'"label": {"names": ["3", "cat"], "_type": "ClassLabel"}, '
        b'"index": {"dtype": "int64", "_type": "Value"}}}}'
    )
    assert [(name, str(kind)) for name, kind in zip(schema.names, schema.types, strict=True)] == [
        ("image", "struct<bytes: binary, path: string>"),
        ("label", "int64"),
        ("index", "int64"),
    ]


def test_a_parquet_file_of_an_unconditional_decoder_has_no_labels() -> None:
    """Without labels there is no column of them."""
    decoder = Decoder(*tiny_decoder(labels=()))
    data = archived(images_of(decoder), recipe_of(decoder.card, Format.PARQUET), decoder.card)
    assert pq.read_schema(io.BytesIO(data)).names == ["image", "index"]


def test_row_groups_are_bounded() -> None:
    """By their samples, and for large images by their bytes, so that a shard of any size streams through."""
    for shape, rows in (((1, 1, 1), [4096, 4096, 1]), ((512, 512, 3), [42, 8])):
        card = tiny_decoder(shape=shape)[1]
        shard = Shard(index=0, start=0, stop=sum(rows))
        images = np.zeros((shard.samples, *shape), np.uint8)
        recipe = recipe_of(card, Format.PARQUET)
        data = archived(images, recipe, card, step=1000, shard=shard)
        file = pq.ParquetFile(io.BytesIO(data))
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        assert [group.num_rows for group in groups] == rows
        assert file.read(["index"])["index"].to_pylist() == list(range(shard.stop))


def test_an_abandoned_parquet_file_leaves_the_body_alone() -> None:
    """Arrow ends a file whose writer is thrown away, when the body may hold the next archive."""
    decoder = Decoder(*tiny_decoder())
    images, recipe, body = images_of(decoder), recipe_of(decoder.card, Format.PARQUET), Body()
    wanted = archived(images, recipe, decoder.card)
    abandoned = new_archive(recipe, SHARD, decoder.card, body)
    abandoned.add(images)
    following = new_archive(recipe, SHARD, decoder.card, body)
    following.add(images[:100])
    del abandoned
    gc.collect()
    following.add(images[100:])
    following.finish()
    assert body.view() == wanted


@pytest.mark.parametrize("format", list(Format))
def test_equal_samples_give_equal_bytes(format: Format) -> None:
    """However the samples were handed over; nothing of the time or the machine's user is in an archive."""
    shard = Shard(index=1, start=BLOCK, stop=6 * BLOCK + 1)
    decoder = Decoder(*tiny_decoder())
    images, recipe = images_of(decoder, shard), recipe_of(decoder.card, format)
    whole = archived(images, recipe, decoder.card, step=len(images), shard=shard)
    for step in (7, 1024, 4096):
        assert archived(images, recipe, decoder.card, step=step, shard=shard) == whole


@pytest.mark.parametrize("format", list(Format))
def test_a_body_that_was_used_changes_nothing(format: Format) -> None:
    """An archive overwrites every byte that it keeps of the memory it takes over."""
    decoder = Decoder(*tiny_decoder())
    images, body = images_of(decoder), Body()
    archived(
        np.full_like(images, 201), recipe_of(decoder.card, Format.NPZ), decoder.card, body=body
    )
    noise = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    archived(noise, recipe_of(decoder.card, Format.TAR), decoder.card, body=body)
    recipe = recipe_of(decoder.card, format)
    assert archived(images, recipe, decoder.card, body=body) == archived(
        images, recipe, decoder.card
    )


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 31, 1), (8, 8, 3)])
def test_room_for_the_worst_images_is_reserved(
    format: Format, compression: Compression, shape: tuple[int, int, int]
) -> None:
    """Noise of bytes whose codes are the longest fits, with a thousand labels of the longest names."""
    labels = ("3", *(f"{number:0>64}" for number in range(1000)))
    card = tiny_decoder(labels=labels, shape=shape)[1]
    noise = np.random.default_rng(0).integers(144, 256, (300, *shape), np.uint8)
    assert archived(noise, recipe_of(card, format, compression), card)


def test_an_encoder_names_what_can_change_bytes() -> None:
    """Beside the PNG encoder's own: Arrow writes the parquet file, and tar has nothing more."""
    card = tiny_decoder()[1]
    png, parquet = (
        new_archive(recipe_of(card, format), SHARD, card, Body()).encoder
        for format in (Format.TAR, Format.PARQUET)
    )
    assert parquet == f"{png} pyarrow-{version('pyarrow')}"


def test_compressions_differ_in_size_only() -> None:
    """`small` is smaller than `fast`, `fast` smaller than `none`, wherever PNG files are packed."""
    decoder = Decoder(*tiny_decoder(shape=(28, 28, 1)))
    images = images_of(decoder) // 64 * 64
    for format in (Format.ZIP, Format.PARQUET):
        none, fast, small = (
            len(archived(images, recipe_of(decoder.card, format, level), decoder.card))
            for level in (Compression.NONE, Compression.FAST, Compression.SMALL)
        )
        assert small < fast < none


def test_the_largest_shard_fits_into_a_zip() -> None:
    """63 blocks and metadata.csv stay below the 65,535 members of a ZIP without ZIP64."""
    _, card = tiny_decoder(shape=(1, 1, 1))
    recipe = recipe_of(card, Format.ZIP, Compression.NONE)
    shard = Shard(index=0, start=0, stop=63 * BLOCK)
    images = np.zeros((shard.samples, 1, 1, 1), np.uint8)
    recipe = recipe.model_copy(update={"shard_size": 63 * BLOCK})
    data = archived(images, recipe, card, step=63 * BLOCK, shard=shard)
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert len(read.namelist()) == 63 * BLOCK + 1
