"""An NPZ file is a data set, or refused in one line; nothing in it is unpickled or unpacked unseen."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from export.data import DataSet
from export.datasets import arrays as array_file
from export.sources import open_data
from service.contract.card import DecoderCard, ImageShape
from service.contract.errors import DataSetInvalid
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from tests.fixtures.idx import labels_of, random_images

IMAGES = random_images(84)
LABELS = labels_of(84).astype(np.int64)
RGB = np.random.default_rng(0).integers(0, 256, (84, 4, 5, 3), np.uint8)


def opened(path: Path, **arrays: object) -> DataSet:
    if arrays:
        np.savez(path, **arrays)  # type: ignore[arg-type]
    return open_data(str(path), cache=path.parent)


def refused(path: Path, **arrays: object) -> str:
    with pytest.raises(DataSetInvalid) as error:
        opened(path, **arrays)
    assert "\n" not in str(error.value)
    assert path.stem in str(error.value)
    return str(error.value)


def test_images_and_labels_become_three_splits(tmp_path: Path) -> None:
    """Every image is in one split with its own label, and every split has every label."""
    data = opened(tmp_path / "mine.npz", images=IMAGES, labels=LABELS)
    assert (data.name, data.labels) == ("mine", ("0", "1", "2"))
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [66, 6, 12]
    assert all(set(part.labels.tolist()) == {0, 1, 2} for part in parts)
    own = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    found = {
        image.tobytes(): label
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    }
    assert found == own
    assert data.files == {"mine.npz": sha256_hex((tmp_path / "mine.npz").read_bytes())}


def test_labels_sorted_by_label_are_in_every_split(tmp_path: Path) -> None:
    """A file with one label after the other validates and tests on all of them."""
    data = opened(tmp_path / "a.npz", images=IMAGES, labels=np.sort(LABELS))
    assert set(data.validation.labels.tolist()) == set(data.test.labels.tolist()) == {0, 1, 2}


def test_test_arrays_are_the_test_split(tmp_path: Path) -> None:
    """What a person keeps for testing is not trained on."""
    data = opened(
        tmp_path / "a.npz",
        images=IMAGES,
        labels=LABELS,
        test_images=IMAGES[:6],
        test_labels=np.array([2, 2, 2, 0, 0, 0], np.uint8),
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (78, 6, 6)
    assert sorted(data.test.labels.tolist()) == [0, 0, 0, 2, 2, 2]
    by_image = {image.tobytes(): int(row < 3) * 2 for row, image in enumerate(IMAGES[:6])}
    for image, label in zip(data.test.images, data.test.labels, strict=True):
        assert by_image[image.tobytes()] == label


def test_no_labels_is_an_unconditional_data_set(tmp_path: Path) -> None:
    """Images alone, grey with or without a channel axis, or RGB."""
    for images in (IMAGES, IMAGES[..., None], RGB):
        data = opened(tmp_path / "a.npz", images=images)
        assert data.labels == ()
        assert data.train.images.shape[1:] == (*images.shape[1:3], data.shape.channels)
        assert not data.train.labels.any()


def test_strings_are_label_names(tmp_path: Path) -> None:
    """Names are sorted, numbers among them as numbers; `label_names` decides another order."""
    names = np.array(["10", "9", "b"])[LABELS]
    data = opened(tmp_path / "a.npz", images=IMAGES, labels=names)
    assert data.labels == ("9", "10", "b")
    assert np.bincount(data.test.labels).tolist() == [4, 4, 4]
    ordered = opened(
        tmp_path / "a.npz", images=IMAGES, labels=names, label_names=["b", "10", "9", "unused"]
    )
    assert ordered.labels == ("b", "10", "9")


def test_numbers_take_their_names_and_unused_names_go(tmp_path: Path) -> None:
    """A label without images could not be learned, so the decoder will not offer it."""
    data = opened(
        tmp_path / "a.npz", images=IMAGES, labels=LABELS + 1, label_names=["no", "x", "y", "a"]
    )
    assert data.labels == ("x", "y", "a")


def test_an_archive_that_a_service_made_is_read_back(tmp_path: Path) -> None:
    """`images labels indexes label_names` of an npz shard, and one without labels."""
    from workers.archives.npz import NpzArchive
    from workers.body import Body

    for labels in (("cat", "dog"), ()):
        card = DecoderCard(
            name="pets",
            digest="0" * 64,
            size_bytes=1,
            latent_dim=2,
            labels=labels,
            image=ImageShape(height=6, width=6, channels=1),
            batch_size=4,
        )
        recipe = Recipe(
            decoder=card.digest,
            label=labels[1] if labels else None,
            seed=1,
            format="npz",
            shard_size=1024,
        )
        body = Body()
        archive = NpzArchive(recipe, Shard(index=0, start=0, stop=84), card, body)
        archive.add(IMAGES[..., None])
        archive.finish()
        (tmp_path / "shard.npz").write_bytes(body.view())
        data = opened(tmp_path / "shard.npz")
        assert data.labels == labels[1:]
        assert len(data.train) + len(data.validation) + len(data.test) == 84


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "no_images": ({"labels": LABELS}, "has no array `images`; it has labels"),
    "unknown_array": (
        {"images": IMAGES, "lables": LABELS},
        "holds 'lables.npy'; an NPZ data set holds only images, labels",
    ),
    "floats": (
        {"images": IMAGES / 255},
        "`images` are float64, not uint8 from 0 to 255; multiply 0..1 by 255, round",
    ),
    "wide_integers": ({"images": IMAGES.astype(np.int64)}, "`images` are int64, not uint8"),
    "flat": ({"images": IMAGES.reshape(84, 36)}, "`images` have the shape (84, 36), not [N, H, W]"),
    "channels_first": (
        {"images": RGB.transpose(0, 3, 1, 2)},
        "channels come last: store images.transpose(0, 2, 3, 1)",
    ),
    "four_channels": ({"images": RGB.reshape(84, 3, 5, 4)}, "with 1 or 3 channels"),
    "none": ({"images": IMAGES[:0]}, "have the shape (0, 6, 6)"),
    "too_large": ({"images": np.zeros((9, 1, 1025), np.uint8)}, "images of 1 x 1025 pixels"),
    "objects": (
        {"images": IMAGES, "labels": np.array(["a", None] * 42, object)},
        "`labels` holds Python objects, which are not unpacked: store numbers or strings",
    ),
    "fewer_labels": ({"images": IMAGES, "labels": LABELS[:-1]}, "84 images but 83 `labels`"),
    "float_labels": ({"images": IMAGES, "labels": LABELS / 1}, "`labels` are float64 of the shape"),
    "one_hot": ({"images": IMAGES, "labels": np.eye(3, dtype=int)[LABELS]}, "of the shape (84, 3)"),
    "negative": ({"images": IMAGES, "labels": LABELS - 1}, "'-1' cannot be a label; rename it"),
    "out_of_range": (
        {"images": IMAGES, "labels": LABELS, "label_names": ["a", "b"]},
        "label 2 has no name; there are 2",
    ),
    "unlisted": (
        {"images": IMAGES, "labels": np.array(["a", "b", "c"])[LABELS], "label_names": ["a", "b"]},
        "label 'c' is not among its label names",
    ),
    "same_names": (
        {"images": IMAGES, "labels": LABELS, "label_names": ["a", "b", "a"]},
        "two labels have the same name",
    ),
    "bad_name": (
        {"images": IMAGES, "labels": LABELS, "label_names": ["a", "b/c", "d"]},
        "'b/c' cannot be a label; rename it, for example to b-c",
    ),
    "names_alone": ({"images": IMAGES, "label_names": ["a"]}, "`label_names` but no `labels`"),
    "numbers_as_names": (
        {"images": IMAGES, "labels": LABELS, "label_names": [1, 2, 3]},
        "`label_names` are int64, not a list of strings",
    ),
    "test_labels_alone": (
        {"images": IMAGES, "labels": LABELS, "test_labels": LABELS},
        "`test_labels` but no `test_images`",
    ),
    "test_unlabelled": (
        {"images": IMAGES, "labels": LABELS, "test_images": IMAGES},
        "has `labels` and `test_images` but no `test_labels`",
    ),
    "test_other_kind": (
        {"images": IMAGES, "labels": LABELS, "test_images": IMAGES, "test_labels": ["0"] * 84},
        "`test_labels` are <U1 of the shape (84,), not one number or one string per image, the same",
    ),
    "test_unlearned": (
        {"images": IMAGES, "labels": LABELS, "test_images": IMAGES, "test_labels": LABELS + 2},
        "the test split has labels that the train split lacks: 3, 4",
    ),
    "few": ({"images": IMAGES[:2]}, "2 images are too few to hold some out"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_npz_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    """Each wrong array is named, with what it should be."""
    arrays, words = BROKEN[fault]
    assert words in refused(tmp_path / "mine.npz", **arrays)


def test_test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    """Training and test images are of one shape."""
    with pytest.raises(DataSetInvalid, match=r"train images are \(6, 6, 1\), test images \(6, 3"):
        opened(tmp_path / "a.npz", images=IMAGES, test_images=IMAGES[:, :, :3])


def npy(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are read from headers and added up before anything is unpacked."""
    monkeypatch.setattr(array_file, "MOST_BYTES", 84 * 36)
    assert len(opened(tmp_path / "fits.npz", images=IMAGES).train) > 0
    assert "would unpack to 3060 bytes; at most 3024" in refused(
        tmp_path / "a.npz", images=IMAGES, test_images=IMAGES[:1]
    )


def test_a_header_that_promises_more_than_its_member_has_is_refused(tmp_path: Path) -> None:
    """A header of terabytes over a few bytes allocates nothing."""
    path = zipped(tmp_path / "a.npz", {"images.npy": npy((1 << 40, 8, 8)) + bytes(64)})
    assert "`images` should have 70368744177792 bytes, but has" in refused(path).replace(
        str((1 << 46) + len(npy((1 << 40, 8, 8)))), "70368744177792"
    )


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    """Text, truncated zips, zips of other things and damaged members are told apart."""
    path = tmp_path / "a.npz"
    path.write_text("images")
    assert "is no NPZ file, or a broken one" in refused(path)
    np.savez(path, images=IMAGES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert "is no NPZ file, or a broken one" in refused(path)
    path.write_bytes(whole[:2000] + bytes(100) + whole[2100:])
    assert "is no NPZ file, or a broken one: Bad CRC-32" in refused(path)
    assert "holds '3/000.png'; an NPZ" in refused(zipped(path, {"3/000.png": b""}))
    assert "cannot be read: " in refused(zipped(path, {"images.npy": b"no magic"}))


def test_pickled_members_are_never_run(tmp_path: Path) -> None:
    """An object array that would create a file when unpickled creates none."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return Path.touch, (Path(tmp_path / "made"),)  # type: ignore[return-value]

    objects = np.empty(1, object)
    objects[0] = Evil()
    assert "holds Python objects" in refused(tmp_path / "a.npz", images=objects)
    assert not (tmp_path / "made").exists()
