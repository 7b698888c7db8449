"""A job's archives in tools that nobody here wrote: every image, its label and its index, in the right order."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from latentmill import StoredDataset
from latentmill.folder import croissant_of_folder, read_manifest

from service.contract import layout
from service.contract.job import Job
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import run_all
from workers.decoder import Decoder
from workers.latents import draw_latents
from workers.shard import Studio

# Their libraries are installed for this alone: `make test-readers`.
pytestmark = pytest.mark.readers

#: Two shards. Hugging Face takes a hundredth of a second for each file of a zip.
COUNT = 1500

Stored = Callable[[str], list[str]]


@pytest.fixture
def stored(studio: Studio, submitted: Callable[..., Job], tmp_path: Path) -> Stored:
    """The archives of a job of two shards in a format, as files in order."""

    def made(format: str) -> list[str]:
        job = submitted(count=COUNT, format=format)
        run_all(studio, job)
        assert job.request is not None
        prefix, storage = layout.recipe_prefix(job.request.recipe.digest), studio.parts.storage
        files = [tmp_path / found.key.rpartition("/")[2] for found in storage.list(prefix)]
        for file in files:
            file.write_bytes(storage.get(prefix + file.name))
        assert len(files) == 2
        return sorted(map(str, files))

    return made


@pytest.fixture(scope="module")
def images() -> Any:
    """What the job's samples are, drawn here: uint8 [1500, H, W]."""
    decoder = Decoder(*tiny_decoder())
    latents = draw_latents(42, 0, COUNT, decoder.card.latent_dim)
    return decoder.decode(latents, "3")[..., 0]


@pytest.fixture(scope="module")
def datasets() -> Any:
    """Hugging Face's library, told when it is imported to look for nothing on a network."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return import_module("datasets")


@pytest.fixture
def loaded(datasets: Any, stored: Stored, tmp_path: Path) -> Callable[[str, str], Any]:
    """The archives of a format as `load_dataset` reads them."""
    return lambda kind, format: datasets.load_dataset(
        kind, data_files=stored(format), split="train", cache_dir=str(tmp_path / "cache")
    )


def pixels(pictures: Any) -> Any:
    return np.stack([np.asarray(picture) for picture in pictures])


def test_unzip_finds_no_fault(stored: Stored) -> None:
    """Info-ZIP tests every member's CRC-32."""
    unzip = shutil.which("unzip")
    if unzip is None:
        assert "CI" not in os.environ, "apt-get install unzip"
        pytest.skip("unzip is not installed")
    for file in stored("zip"):
        told = subprocess.run([unzip, "-t", file], capture_output=True, text=True)
        assert (told.returncode, "No errors detected" in told.stdout) == (0, True)


def test_gnu_tar_unpacks_every_member(stored: Stored, images: Any, tmp_path: Path) -> None:
    """Two files for each sample."""
    (tmp_path / "out").mkdir()
    for file in stored("tar"):
        subprocess.run(["tar", "-x", "-f", file, "-C", str(tmp_path / "out")], check=True)
    assert len(list((tmp_path / "out").iterdir())) == 2 * len(images)
    assert {file.read_text() for file in (tmp_path / "out").glob("*.cls")} == {"3"}


def test_hugging_face_reads_zips_as_an_image_folder(
    loaded: Callable[[str, str], Any], images: Any
) -> None:
    """Several archives as they are; labels and indexes come from each one's metadata.csv."""
    read = loaded("imagefolder", "zip")
    order = np.argsort(read["index"])
    assert (np.array(read["index"])[order] == np.arange(COUNT)).all()
    assert (pixels(read["image"])[order] == images).all()
    assert set(map(str, read["label"])) == {"3"}


def test_hugging_face_reads_tars_as_webdataset(
    datasets: Any, loaded: Callable[[str, str], Any], images: Any
) -> None:
    """A picture and a number for each sample."""
    read = loaded("webdataset", "tar")
    assert isinstance(read.features["png"], datasets.Image)
    assert (pixels(read["png"]) == images).all()
    assert set(read["cls"]) == {3}
    assert [int(key.rpartition("/")[2]) for key in read["__key__"]] == list(range(COUNT))


def test_hugging_face_reads_parquet(
    datasets: Any, loaded: Callable[[str, str], Any], images: Any
) -> None:
    """Pictures and named labels, without being told which columns they are."""
    read = loaded("parquet", "parquet")
    assert isinstance(read.features["image"], datasets.Image)
    assert isinstance(read.features["label"], datasets.ClassLabel)
    assert read.features["label"].names == [str(digit) for digit in range(10)]
    assert (pixels(read["image"]) == images).all()
    assert {read.features["label"].int2str(label) for label in read["label"]} == {"3"}


#: In a process of its own, for it keeps what it unpacked in a cache of its user's.
LOAD = """
import sys, mlcroissant, numpy
read = mlcroissant.Dataset(sys.argv[1])
rows = [row for records in read.metadata.record_sets for row in read.records(records.name)]
told = {name.rpartition("/")[2] for row in rows for name in row}
column = lambda of: [next(row[name] for name in row if name.endswith("/" + of)) for row in rows]
labels = column("label") if "label" in told else ["3"] * len(rows)
labels = [label.decode() if isinstance(label, bytes) else str(label) for label in labels]
images = [numpy.asarray(picture) for picture in column("image")]
numpy.savez(sys.argv[2], index=column("index"), label=labels, image=images)
"""


def folder_of(studio: Studio, job: Job, folder: Path) -> Path:
    """The job as a client downloads it."""
    run_all(studio, job)
    storage = studio.parts.storage
    folder.mkdir()
    (folder / "manifest.json").write_bytes(storage.get(layout.job_manifest(job.id)))
    for shard in read_manifest(folder).shards:
        (folder / shard.key.rpartition("/")[2]).write_bytes(storage.get(shard.key))
    return folder


@pytest.mark.parametrize("format", ["zip", "tar", "npz", "parquet"])
def test_a_data_set_is_handed_over_to_hugging_face(
    datasets: Any,
    studio: Studio,
    submitted: Callable[..., Job],
    images: Any,
    tmp_path: Path,
    format: str,
) -> None:
    """From archives of any format: pictures and named labels, in order."""
    folder = folder_of(studio, submitted(count=COUNT, format=format), tmp_path / "job")
    names = [str(digit) for digit in range(10)]
    stored = StoredDataset(folder, labels=names)
    read = stored.to_hugging_face(cache_dir=str(tmp_path / "cache"))
    assert isinstance(read.features["image"], datasets.Image)
    assert read.features["label"].names == names
    assert (pixels(read["image"]) == images).all()
    assert set(read["label"]) == {3}


#: In a process of its own, for it leaves files open.
STREAM = """
import sys, numpy, latentmill
stream = latentmill.StoredDataset(sys.argv[1]).to_webdataset(empty_check=False)
samples = list(stream.decode("l8").to_tuple("png", "cls"))
numpy.savez(sys.argv[2], *map(numpy.array, zip(*samples)))
"""


def test_a_data_set_is_handed_over_to_webdataset(
    studio: Studio, submitted: Callable[..., Job], images: Any, tmp_path: Path
) -> None:
    """All archives of a tar job, in order."""
    folder = folder_of(studio, submitted(count=COUNT, format="tar"), tmp_path / "job")
    to = tmp_path / "read.npz"
    subprocess.run([sys.executable, "-c", STREAM, folder, to], check=True)
    with np.load(to) as read:
        assert (read["arr_0"] == images).all()


@pytest.mark.parametrize("format", ["zip", "tar", "parquet"])
def test_mlcroissant_loads_a_job_by_its_card(
    studio: Studio, submitted: Callable[..., Job], images: Any, tmp_path: Path, format: str
) -> None:
    """Which it finds valid, and which leads it to every image, index and label."""
    folder = folder_of(studio, submitted(count=COUNT, format=format), tmp_path / "job")
    card, to = folder / "croissant.json", tmp_path / "read.npz"
    card.write_text(json.dumps(croissant_of_folder(folder)))
    home = os.environ | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOAD, card, to], check=True, env=home)
    with np.load(to) as read:
        order = np.argsort(read["index"])
        assert (read["index"][order] == np.arange(COUNT)).all()
        assert (read["image"][order] == images).all()
        assert set(read["label"]) == {"3"}


#: In a process of its own, for it leaves files open.
READ = """
import sys, numpy, webdataset
read = webdataset.WebDataset(sys.argv[2:], shardshuffle=False, empty_check=False)
samples = list(read.decode("l8").to_tuple("png", "cls"))
numpy.savez(sys.argv[1], *map(numpy.array, zip(*samples)))
"""


def test_webdataset_reads_tars(stored: Stored, images: Any, tmp_path: Path) -> None:
    """Its own loader, several shards one after the other."""
    to = tmp_path / "read.npz"
    subprocess.run([sys.executable, "-c", READ, to, *stored("tar")], check=True)
    with np.load(to) as read:
        assert (read["arr_0"] == images).all()
        assert set(read["arr_1"].tolist()) == {3}


def test_numpy_and_arrow_read_theirs(stored: Stored, images: Any) -> None:
    """`numpy.load` without pickle; Arrow by its own reader."""
    parts = [np.load(file, allow_pickle=False) for file in stored("npz")]
    assert (np.concatenate([part["images"] for part in parts])[..., 0] == images).all()
    assert (np.concatenate([part["indexes"] for part in parts]) == np.arange(COUNT)).all()
    assert {name for part in parts for name in part["label_names"][part["labels"]]} == {"3"}
    indexes = [
        index for file in stored("parquet") for index in pq.read_table(file)["index"].to_pylist()
    ]
    assert indexes == list(range(COUNT))
