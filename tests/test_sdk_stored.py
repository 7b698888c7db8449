"""`latentmill.StoredDataset`: a downloaded job, sample by sample, for training."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latentmill import Client, StoredDataset
from latentmill.errors import ArchiveBroken, RequestInvalid
from torch.utils.data import DataLoader

from tests.fixtures.api import Api

MIX = {"label": None, "count": None, "labels": {"3": 1500, "5": 1000}}
DIGITS = tuple("0123456789")

Download = Callable[..., Path]


@pytest.fixture
def download(api: Api, tmp_path: Path) -> Download:
    """A job of 2,500 samples in three archives, in a folder."""

    def downloaded(**fields: Any) -> Path:
        job = api.completed(**(MIX | fields))
        with Client(f"http://127.0.0.1:{api.settings.port}") as client:
            client.download(job["id"], tmp_path / "job")
            arrays = client.arrays(job["id"])
        np.savez(tmp_path / "told.npz", images=arrays.images, labels=arrays.labels.astype(np.int64))
        return tmp_path / "job"

    return downloaded


def told(folder: Path) -> Any:
    """What the client says that the job holds."""
    return np.load(folder.parent / "told.npz")


@pytest.mark.parametrize("format", ["zip", "tar", "npz", "parquet"])
def test_it_is_what_the_archives_hold(download: Download, format: str) -> None:
    """In any order, whatever the format; labels are positions among the names that it is given."""
    folder = download(format=format)
    dataset, expected = StoredDataset(folder, labels=DIGITS), told(folder)
    assert len(dataset) == 2500
    places = np.random.default_rng(1).permutation(2500)
    for order in (np.arange(2500), places, places[:3], -places[:3] - 1, places[:0]):
        images, label_ids = dataset.arrays(order)
        assert (images == expected["images"][order]).all()
        assert (label_ids == expected["labels"][order]).all()
    image, label = dataset[-1]
    assert (image == expected["images"][-1]).all()
    assert label == expected["labels"][-1]
    with pytest.raises(IndexError, match="2500 samples"):
        dataset[2500]


def test_without_names_it_has_those_of_the_job(download: Download) -> None:
    """In order; names that lack one of them are refused at once."""
    folder = download()
    dataset, expected = StoredDataset(folder), told(folder)
    assert dataset.labels == ("3", "5")
    _, label_ids = dataset.arrays(np.arange(2500))
    assert (np.where(label_ids, 5, 3) == expected["labels"]).all()
    with pytest.raises(RequestInvalid, match="lacks 3 of the job"):
        StoredDataset(folder, labels=("5",))


@pytest.mark.parametrize("keep_bytes", [0, 70_000, 1 << 20])
def test_memory_is_bounded(download: Download, keep_bytes: int) -> None:
    """One archive of 65,536 bytes of pixels at least, more while they fit; the samples are the same."""
    folder = download()
    dataset, expected = StoredDataset(folder, keep_bytes=keep_bytes), told(folder)
    for place in (0, 2499, 1, 1500, 2):
        assert (dataset[place][0] == expected["images"][place]).all()
    kept = sum(arrays.images.nbytes for arrays in dataset._opened.values())
    assert kept <= max(keep_bytes, 65_536)


def test_a_damaged_archive_is_named_when_it_is_reached(download: Download) -> None:
    """Neither a wrong image nor a crash; the others are read."""
    folder = download()
    first, second, third = StoredDataset(folder).files
    data = bytearray(second.read_bytes())
    data[2000] ^= 1
    second.write_bytes(data)
    third.unlink()
    dataset = StoredDataset(folder)
    assert dataset[0][0].shape == (8, 8, 1)
    assert first.exists()
    with pytest.raises(ArchiveBroken, match=f"{second.name} is not what its manifest says"):
        dataset[1024]
    with pytest.raises(ArchiveBroken, match=f"{third.name} cannot be read"):
        dataset[2048]
    with pytest.raises(ArchiveBroken, match=r"manifest\.json"):
        StoredDataset(folder.parent)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_the_same_for_any_number_of_workers(
    download: Download, workers: int
) -> None:
    """Map-style, and as a stream that is shuffled by its seed and shared by two ranks."""
    folder = download()
    dataset, expected = StoredDataset(folder, labels=DIGITS), told(folder)
    loaded = DataLoader(dataset, batch_size=300, num_workers=workers)
    images = torch.cat([batch for batch, _ in loaded])
    assert (images.numpy() == expected["images"]).all()
    seen = []
    for rank in (0, 1):
        stream = dataset.stream(batch_size=200, shuffle_seed=4, rank=rank, world_size=2)
        seen += [labels for _, labels in DataLoader(stream, batch_size=None, num_workers=workers)]
    assert sorted(torch.cat(seen).tolist()) == sorted(expected["labels"].tolist())
    assert torch.cat(seen).tolist() != expected["labels"].tolist()


def test_a_transform_is_told_of_each_image(download: Download) -> None:
    """And goes along to other processes, while open archives do not."""
    dataset = StoredDataset(download(), transform=np.mean)
    assert dataset[7][0] == np.mean(StoredDataset(dataset.files[0].parent)[7][0])
    assert not pickle.loads(pickle.dumps(dataset))._opened
    assert pickle.loads(pickle.dumps(dataset))[7] == dataset[7]


def test_only_a_tar_is_a_webdataset(download: Download) -> None:
    """Said before its library is looked for."""
    dataset = StoredDataset(download())
    with pytest.raises(RequestInvalid, match="ask for tar"):
        dataset.to_webdataset()
