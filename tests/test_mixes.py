"""Jobs of several labels at once: exact to the image, in proportion everywhere, each image the one of its label."""

import io
import random
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latentmill import Client
from latentmill.archive import Arrays, read_archive

from service.cli.amounts import how_many
from service.contract.errors import ArchiveBroken, RequestInvalid
from service.contract.mix import weights_of
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard, all_shards
from service.local.stack import Stack
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.stack import TINY
from workers.archives import new_archive
from workers.body import Body
from workers.checksums import Checksums
from workers.decoder import Decoder, Images
from workers.labels import label_ids_of
from workers.latents import draw_latents

#: Of several lengths, for names in archives have them too.
NAMES = (
    "0",
    "zebra",
    "cat",
    "a-very-long-label_with-64-characters-and-not-one-more-than-those",
    "B2",
)


@pytest.fixture(scope="module", params=[(8, 8, 1), (5, 6, 3)], ids=["grey", "rgb"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return Decoder(*tiny_decoder(labels=NAMES, shape=request.param))


def recipe_of(decoder: Decoder, counts: dict[str, int], format: Format, **fields: Any) -> Recipe:
    mixed = {"label": None, "labels": weights_of(counts), "shard_size": BLOCK, "seed": 7}
    return Recipe(decoder=decoder.card.digest, format=format, **mixed | fields)


def latents_of(decoder: Decoder, shard: Shard) -> Any:
    return draw_latents(7, shard.start, shard.stop, decoder.card.latent_dim)


def drawn(decoder: Decoder, recipe: Recipe, shard: Shard) -> Images:
    return decoder.decode(latents_of(decoder, shard), label_ids_of(recipe, shard, decoder.card))


def archived(decoder: Decoder, recipe: Recipe, shard: Shard, images: Images, *, step: int) -> bytes:
    archive = new_archive(recipe, shard, decoder.card, body := Body())
    checksums = Checksums(body, samples=len(images), image_bytes=images[0].nbytes)
    for start in range(0, len(images), step):
        archive.add(images[start : start + step])
        checksums.update(images[start : start + step])
    archive.finish()
    return bytes(body.view())


def shards_of(
    decoder: Decoder, counts: dict[str, int], format: Format, **fields: Any
) -> Iterator[tuple[Shard, Arrays]]:
    recipe = recipe_of(decoder, counts, format, **fields)
    for shard in all_shards(sum(counts.values()), recipe.shard_size):
        data = archived(decoder, recipe, shard, drawn(decoder, recipe, shard), step=256)
        yield shard, read_archive(data, format, recipe.labels)


def random_mixes() -> list[dict[str, int]]:
    chance = random.Random(20_261_129)
    return [
        {
            name: max(1, round(10 ** chance.uniform(0, 3.2)))
            for name in chance.sample(NAMES, chance.randint(1, len(NAMES)))
        }
        for _ in range(50)
    ]


@pytest.mark.parametrize("number", range(50))
def test_a_mix_is_exact_and_every_shard_in_proportion(decoder: Decoder, number: int) -> None:
    """To the image over the job, within two in each shard; formats in turn."""
    counts = random_mixes()[number]
    total, made = sum(counts.values()), Counter[str]()
    for shard, arrays in shards_of(decoder, counts, list(Format)[number % 4]):
        assert arrays.indexes.tolist() == list(range(shard.start, shard.stop))
        here = Counter(arrays.labels.tolist())
        for name, count in counts.items():
            assert abs(here[name] - count * shard.samples / total) <= 2
        made += here
    assert made == counts


@pytest.mark.parametrize("format", Format)
def test_each_image_is_the_one_of_its_label(decoder: Decoder, format: Format) -> None:
    """Sample `index` under its label, seed and temperature, whatever stands beside it in the mix."""
    counts = {"0": 500, "zebra": 300, NAMES[3]: 250}
    for shard, arrays in shards_of(decoder, counts, format):
        alone = {name: decoder.decode(latents_of(decoder, shard), name) for name in counts}
        wanted = np.stack([alone[str(name)][at] for at, name in enumerate(arrays.labels)])
        assert np.array_equal(arrays.images, wanted)


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("format", Format)
def test_the_bytes_follow_from_the_samples(
    decoder: Decoder, format: Format, compression: Compression
) -> None:
    """However they are handed over; and a mix of one label differs from the label in its recipe alone."""
    recipe = recipe_of(decoder, {"0": 3, "zebra": 2}, format, compression=compression)
    shard = Shard(index=97, start=97 * BLOCK, stop=98 * BLOCK - 100)  # over 99,999
    images = drawn(decoder, recipe, shard)
    whole = archived(decoder, recipe, shard, images, step=1024)
    assert archived(decoder, recipe, shard, images, step=128) == whole
    one = recipe_of(decoder, {"cat": 1}, format, compression=compression)
    label = one.model_copy(update={"labels": None, "label": "cat"})
    images = drawn(decoder, one, shard)
    assert archived(decoder, one, shard, images, step=256) == archived(
        decoder, label, shard, images, step=256
    )


def test_everybodys_tools_read_them(decoder: Decoder, tmp_path: Path) -> None:
    """A zip that `zipfile` finds whole, with a folder for each label; a tar with ids that are those of the card."""
    counts = {"0": 700, "zebra": 200, "cat": 100}
    shard = Shard(index=0, start=0, stop=1000)
    recipe = recipe_of(decoder, counts, Format.ZIP)
    data = archived(decoder, recipe, shard, drawn(decoder, recipe, shard), step=256)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        folders = Counter(name.partition("/")[0] for name in archive.namelist() if "/" in name)
    assert folders == counts
    recipe = recipe_of(decoder, counts, Format.TAR)
    data = archived(decoder, recipe, shard, drawn(decoder, recipe, shard), step=256)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        ids = Counter(
            int(archive.extractfile(member).read())  # type: ignore[union-attr]
            for member in archive
            if member.name.endswith(".cls")
        )
    assert ids == {NAMES.index(name): count for name, count in counts.items()}
    subprocess.run(["tar", "-tf", "-"], input=data, check=True, capture_output=True)


def test_a_tar_of_other_labels_is_found_out(decoder: Decoder) -> None:
    """The mix of the recipe says which sample has which label."""
    recipe = recipe_of(decoder, {"0": 1, "cat": 1}, Format.TAR)
    shard = Shard(index=0, start=0, stop=100)
    data = archived(decoder, recipe, shard, drawn(decoder, recipe, shard), step=100)
    assert read_archive(data, Format.TAR, {"0": 1, "cat": 1}).labels[:2].tolist() == ["0", "cat"]
    with pytest.raises(ArchiveBroken, match="other labels"):
        read_archive(data, Format.TAR, {"0": 2, "cat": 1})


@pytest.mark.parametrize("format", Format)
def test_a_job_of_a_mix_from_submit_to_verify(
    stack: Stack, client: Client, tmp_path: Path, format: Format
) -> None:
    """Accepted, made by real workers, downloaded and verified; single images are the ones of the archive."""
    counts = {"3": 900, "8": 600, "1": 1}
    job = client.wait(client.submit(TINY, labels=counts, seed=91, format=format, shard_size=BLOCK))
    assert (job.request.count, job.request.labels) == (1501, dict(sorted(counts.items())))
    arrays = client.arrays(job)
    assert Counter(arrays.labels.tolist()) == counts
    assert client.verify(job).is_intact
    folder = tmp_path / "mixed"
    client.download(job, folder)
    for index in (0, 1, 700, 1500):
        png = client.image(TINY, arrays.labels[index], seed=91, index=index)
        assert np.array_equal(read_png_of(png), arrays.images[index])


def read_png_of(png: bytes) -> Any:
    from latentmill.png import read_png

    return read_png(png)


def test_a_mix_is_extended_by_whole_multiples(client: Client) -> None:
    """Twice the counts have one recipe: what is stored of it is not made again."""
    fields = {"seed": 92, "shard_size": BLOCK}
    first = client.wait(client.submit(TINY, labels={"3": 2048, "4": 1024}, **fields))  # type: ignore[arg-type]
    more = client.wait(client.submit(TINY, labels={"3": 4096, "4": 2048}, **fields))  # type: ignore[arg-type]
    assert more.request.recipe == first.request.recipe
    assert (first.progress.shards_total, more.progress.shards_reused) == (3, 3)
    start = [shard.sha256 for shard in client.manifest(first).shards]
    assert [shard.sha256 for shard in client.manifest(more).shards][:3] == start


def test_a_damaged_shard_of_a_mix_is_repaired(stack: Stack, client: Client) -> None:
    """From the recipe alone, to the byte."""
    job = client.wait(client.submit(TINY, labels={"3": 5, "4": 7}, seed=93))
    path = stack.plan.data_dir.objects / client.manifest(job).shards[0].key
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert not client.verify(job).is_intact
    client.repair(job)
    while client.repair_report(job).finished_at is None:
        pass
    assert path.read_bytes() == whole


def test_the_command_line_takes_counts_weights_and_a_histogram(stack: Stack) -> None:
    """Three ways to say a mix; what is meant is printed."""
    for options, told in (
        (["--labels", "3=20,8=10"], "30 images of tiny (3: 20, 8: 10)"),
        (["--weights", "3=2,8=1", "--count", "100"], "100 images of tiny (3: 67, 8: 33)"),
        (["--balance", "3=100,8=90,1=50"], "60 images of tiny (1: 50, 8: 10)"),
    ):
        command = [sys.executable, "-m", "service.cli.main", "submit", TINY, *options]
        ended = subprocess.run(
            [*command, "--url", stack.url], capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        assert told in ended.stderr


@pytest.mark.parametrize(
    "said",
    [
        (None, None, None, None, None),
        ("3", 5, "3=1", None, None),
        (None, 5, "3=1", None, None),
        (None, None, None, "3=1", None),
        (None, None, "3=1", "3=1", None),
        (None, None, "3", None, None),
        (None, None, "3=-1", None, None),
        (None, 5, None, "3=0", None),
        (None, None, None, None, "3=5,4=5"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: Any) -> None:
    """Neither a count nor a mix, both, or a mix that is none."""
    with pytest.raises(RequestInvalid):
        how_many(*said)
