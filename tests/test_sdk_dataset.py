"""`latentmill.SyntheticDataset`: the samples of jobs, drawn where they are trained on."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latentmill import SyntheticDataset
from latentmill.archive import read_archive
from latentmill.errors import DataSetInvalid, RequestInvalid, UnknownDecoder
from latentmill.shuffle import Shuffle
from torch.utils.data import DataLoader

from export.publish import CARD_FILE, ONNX_FILE
from service.adapters.storage import Storage
from service.contract import layout
from service.contract.job import Job
from service.contract.recipe import Format
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import run_all
from workers.shard import Studio

LABELS = {"0": 1300, "7": 40, "3": 2100}


def folder_of(folder: Path, **of_decoder: Any) -> Path:
    """A decoder as `latentmill export` writes one."""
    onnx, card = tiny_decoder(**of_decoder)
    folder.mkdir()
    (folder / ONNX_FILE).write_bytes(onnx)
    (folder / CARD_FILE).write_bytes(card.to_json())
    return folder


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "decoder")


@pytest.fixture
def dataset(decoder: Path) -> SyntheticDataset:
    return SyntheticDataset(decoder, count=LABELS, seed=42)


def stored(storage: Storage, job: Job) -> Any:
    """The images that a job's archives hold."""
    assert job.request is not None
    keys = [found.key for found in storage.list(layout.recipe_prefix(job.request.recipe.digest))]
    return np.concatenate([read_archive(storage.get(key), Format.NPZ).images for key in keys])


@pytest.mark.parametrize(("temperature", "keep_bytes"), [(1.0, 0), (0.4, 0), (0.4, 1 << 20)])
def test_it_is_what_jobs_store(
    decoder: Path,
    studio: Studio,
    submitted: Callable[..., Job],
    temperature: float,
    keep_bytes: int,
) -> None:
    """Label after label, pixel for pixel: in order, one by one, and shuffled over all labels at once; kept or not."""
    made = []
    for label, count in LABELS.items():
        job = submitted(label=label, count=count, format="npz", temperature=temperature)
        run_all(studio, job)
        made.append(stored(studio.parts.storage, job))
    images, ids = np.concatenate(made), np.repeat([0, 7, 3], list(LABELS.values()))
    dataset = SyntheticDataset(
        decoder, count=LABELS, seed=42, temperature=temperature, keep_bytes=keep_bytes
    )
    places = np.random.default_rng(1).permutation(len(dataset))
    assert len(dataset) == len(images) == 3440
    for order in (np.arange(len(dataset)), places, places[:5], np.repeat(places[:3], 40)):
        found, labels = dataset.arrays(order)
        assert (found == images[order]).all()
        assert (labels == ids[order]).all()
    image, label = dataset[-1]
    assert (label, (image == images[-1]).all()) == (3, True)


def test_colour_and_no_labels(tmp_path: Path) -> None:
    """Shapes are the card's; without labels there is one count, and the label is 0."""
    dataset = SyntheticDataset(
        folder_of(tmp_path / "bare", name="bare", labels=(), shape=(9, 7, 3)), count=10, seed="7"
    )
    image, label = dataset[9]
    assert (image.shape, image.dtype, label, dataset.labels) == ((9, 7, 3), np.uint8, 0, ())
    with pytest.raises(IndexError):
        dataset[10]


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_a_loader_gives_the_same_for_any_number_of_workers(
    dataset: SyntheticDataset, workers: int
) -> None:
    """Map-style and as a stream, in order, also after the parent has drawn: no session is shared with a fork."""
    everything, ids = dataset.arrays(np.arange(len(dataset)))
    by_place = DataLoader(dataset, batch_size=100, num_workers=workers)  # type: ignore[arg-type, var-annotated]
    stream = dataset.stream(batch_size=100)
    by_stream = DataLoader(stream, batch_size=None, num_workers=workers)
    for loader in (by_place, by_stream):
        images, labels = map(torch.cat, zip(*loader, strict=True))
        assert (images.numpy() == everything).all()
        assert (labels.numpy() == ids).all()
    assert len(stream) == 35


def test_ranks_share_a_shuffled_stream(dataset: SyntheticDataset) -> None:
    """Each sample once in all, in the order of its seed; another seed gives another order."""

    def order(seed: int, world_size: int) -> list[Any]:
        ranks = [
            list(dataset.stream(batch_size=64, shuffle_seed=seed, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        return [ranks[k % world_size][k // world_size] for k in range(sum(map(len, ranks)))]

    alone, shared, other = order(1, 1), order(1, 3), order(2, 1)
    pixels = [torch.cat([images for images, _ in batches]) for batches in (alone, shared, other)]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    in_order, _ = dataset.arrays(np.arange(len(dataset)))
    assert sorted(image.tobytes() for image in pixels[0].numpy()) == sorted(
        image.tobytes() for image in in_order
    )


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1024, 5000, 2**20])
def test_a_shuffle_is_a_permutation(size: int) -> None:
    """Of every size; asked place by place it is the same."""
    places = np.arange(size)
    found = Shuffle(size, seed=5)(places)
    assert (np.sort(found) == places).all()
    assert (Shuffle(size, seed=5)(places[::-1]) == found[::-1]).all()
    if size > 1000:
        assert np.abs(np.corrcoef(places, found)[0, 1]) < 0.1
        assert (found != Shuffle(size, seed=6)(places)).mean() > 0.99


def test_a_shuffle_stays_what_it_is() -> None:
    """Orders of training runs follow from it, so these values are for ever."""
    assert Shuffle(10, seed=0)(np.arange(10)).tolist() == GOLDEN_TEN
    assert Shuffle(10**12, seed=2**63)(np.array([0, 1, 10**12 - 1])).tolist() == GOLDEN_LARGE


GOLDEN_TEN = [4, 5, 7, 2, 0, 8, 3, 6, 1, 9]
GOLDEN_LARGE = [304861980661, 776600701026, 922660531807]


def test_a_recipe_file_stands_for_it(
    dataset: SyntheticDataset, decoder: Path, tmp_path: Path
) -> None:
    """A couple of hundred bytes; with another decoder, or broken, it is refused in one line."""
    recipe = tmp_path / "recipe.json"
    dataset.save(recipe)
    assert recipe.stat().st_size < 250
    again = SyntheticDataset.load(recipe, decoder=decoder)
    places = np.arange(0, len(dataset), 97)
    assert (again.arrays(places)[0] == dataset.arrays(places)[0]).all()
    other = folder_of(tmp_path / "other", seed=1)
    with pytest.raises(DataSetInvalid, match="not of"):
        SyntheticDataset.load(recipe, decoder=other)
    for broken in (
        "",
        "[]",
        "{}",
        '{"decoder": "mnist"}',
        json.dumps({"decoder": "mnist", "x": 1}),
    ):
        recipe.write_text(broken)
        with pytest.raises(DataSetInvalid, match="no recipe"):
            SyntheticDataset.load(recipe)


def test_the_decoder_that_ships_needs_no_folder(tmp_path: Path) -> None:
    """Equal counts are one number, and pinning another version is refused."""
    dataset = SyntheticDataset("mnist", count=2, seed=1)
    dataset.save(tmp_path / "recipe.json")
    assert (len(dataset), dataset[0][0].shape) == (20, (28, 28, 1))
    assert json.loads((tmp_path / "recipe.json").read_text())["count"] == 2
    assert (tmp_path / "recipe.json").stat().st_size < 200
    again = SyntheticDataset.load(tmp_path / "recipe.json")
    assert (again[19][0] == dataset[19][0]).all()
    with pytest.raises(UnknownDecoder):
        SyntheticDataset("mnist@" + "0" * 64, count=2, seed=1)


def test_it_travels_to_other_processes(dataset: SyntheticDataset) -> None:
    """Pickled as a spawned loader does, after it was used."""
    assert dataset[3][1] == 0
    again = pickle.loads(pickle.dumps(dataset))
    assert (again[3][0] == dataset[3][0]).all()


def test_a_transform_sees_each_image(decoder: Path) -> None:
    """And its results are collated."""
    dataset = SyntheticDataset(
        decoder, count={3: 5}, seed=1, transform=lambda image: torch.tensor(image.sum() / 255)
    )
    assert isinstance(dataset[0][0], torch.Tensor)
    ((sums, labels),) = dataset.stream(batch_size=8)
    assert (sums.shape, labels.tolist()) == ((5,), [3] * 5)


@pytest.mark.parametrize(
    ("wrong", "pointers"),
    [
        ({"count": 0}, ["/count"]),
        ({"count": {"nine": 5}}, ["/label"]),
        ({"count": {}}, ["/count"]),
        ({"seed": -1, "temperature": 0}, ["/seed", "/temperature"]),
        ({"count": {"x": 0, "3": 1}, "seed": "x"}, ["/count", "/label", "/seed"]),
    ],
)
def test_every_fault_is_told_at_once(
    decoder: Path, wrong: dict[str, Any], pointers: list[str]
) -> None:
    """As a job's request would be refused."""
    with pytest.raises(RequestInvalid) as refused:
        SyntheticDataset(decoder, **({"count": 5, "seed": 1} | wrong))
    assert sorted({fault.pointer for fault in refused.value.faults}) == pointers
