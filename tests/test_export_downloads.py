"""Data sets by download, over real HTTP: believed by checksums, from whichever mirror has them."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from rich.console import Console

from export import sources
from export.data import DataSet
from export.datasets import download
from export.datasets.download import Checksum, fetch
from export.datasets.published import EMNIST_LABELS, EMNIST_ZIP, IDX_SETS, Published
from export.sources import idx_folder, open_data
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex
from tests.fixtures.idx import (
    emnist_files,
    idx_bytes,
    idx_files,
    labels_of,
    random_images,
    write_idx_folder,
)
from tests.fixtures.mirrors import CutOff, Resuming, mirror

QUIET = Console(quiet=True)
FILES = {f"{name}.gz": Checksum(sha256_hex(raw), True) for name, raw in idx_files().items()}
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"


def refused(folder: Path, mirrors: list[str], files: dict[str, Checksum] = FILES) -> str:
    with pytest.raises(DataSetInvalid) as error:
        fetch(folder, files, mirrors, console=QUIET)
    assert "\n" not in str(error.value)
    return str(error.value)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def partials(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".partial"]


def test_download_is_kept_and_not_repeated(tmp_path: Path) -> None:
    """The four files arrive, are readable as a data set, and the second time no server is asked."""
    with mirror(write_idx_folder(tmp_path / "web")) as url:
        folder = fetch(tmp_path / "cache", FILES, [url], console=QUIET)
    assert len(idx_folder(folder).test) == 12
    assert fetch(tmp_path / "cache", FILES, [url], console=QUIET) == folder
    assert partials(folder) == []


def test_second_mirror_is_asked_when_the_first_fails_or_lies(tmp_path: Path) -> None:
    """A mirror that is down, lacks a file or serves another one costs nothing but time."""
    (tmp_path / "empty").mkdir()
    names = dict.fromkeys(idx_files(), b"other")
    liar = write_idx_folder(tmp_path / "liar", names)
    with mirror(tmp_path / "empty") as down:
        pass
    with (
        mirror(tmp_path / "empty") as empty,
        mirror(liar) as lying,
        mirror(write_idx_folder(tmp_path / "web")) as good,
    ):
        mirrors = [down, empty, lying, good]
        folder = fetch(tmp_path / "cache", FILES, mirrors, console=QUIET)
    assert len(idx_folder(folder).train) == 44


def test_every_mirror_says_in_one_line_why_it_did_not_help(tmp_path: Path) -> None:
    """Offline, a person reads each mirror's answer and what to do instead."""
    (tmp_path / "empty").mkdir()
    with mirror(tmp_path / "empty") as down:
        pass
    with mirror(tmp_path / "empty") as empty:
        told = refused(tmp_path / "cache", [down, empty])
    assert f"{down}: " in told
    assert f"{empty}: answered 404" in told
    assert f"put it into {tmp_path / 'cache'}, or give a folder by --data" in told


def test_wrong_checksum_writes_nothing_and_says_why(tmp_path: Path) -> None:
    """Bytes that are not the data set's never become its file; the message names mirror and sum."""
    files = idx_files() | {"train-labels-idx1-ubyte": b"tampered"}
    with mirror(write_idx_folder(tmp_path / "web", files)) as url:
        told = refused(tmp_path / "cache", [url])
    assert url in told
    assert sha256_hex(b"tampered")[:12] in told
    assert visible(tmp_path / "cache") == [TRAIN_IMAGES]
    assert partials(tmp_path / "cache") == []


def test_page_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """A captive portal answers 200 with HTML: that is told as no gzip file."""
    web = tmp_path / "web"
    web.mkdir()
    for name in FILES:
        (web / name).write_text("<html>sign in</html>")
    with mirror(web) as url:
        assert "not a gzip file" in refused(tmp_path / "cache", [url])


def test_checksum_of_contents_does_not_hang_on_how_a_mirror_compresses(tmp_path: Path) -> None:
    """Mirrors gzip MNIST in their own ways; the data inside are what is checked."""
    web = write_idx_folder(tmp_path / "web", gz=False)
    for name in idx_files():
        raw = (web / name).read_bytes()
        (web / f"{name}.gz").write_bytes(gzip.compress(raw, compresslevel=1, mtime=7))
    with mirror(web) as url:
        assert fetch(tmp_path / "c", FILES, [url], console=QUIET).is_dir()


def test_a_download_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Half a file is kept out of sight, and the same mirror is asked for the other half only."""
    web = write_idx_folder(tmp_path / "web")
    size = (web / TRAIN_IMAGES).stat().st_size
    files = {TRAIN_IMAGES: FILES[TRAIN_IMAGES]}
    kept = tmp_path / "cache"
    with mirror(web, CutOff) as url:
        refused(kept, [url], files)
    assert visible(kept) == []
    (half,) = partials(kept)
    assert half.stat().st_size == size // 2
    Resuming.sent.clear()
    with mirror(web, Resuming) as url:
        half.rename(half.with_name(f".{TRAIN_IMAGES}.{sha256_hex(url.encode())[:8]}.partial"))
        fetch(kept, files, [url], console=QUIET)
    assert Resuming.sent == [size - size // 2]
    assert (kept / TRAIN_IMAGES).read_bytes() == (web / TRAIN_IMAGES).read_bytes()


@pytest.mark.parametrize("whole", [True, False])
def test_a_mirror_that_cannot_resume_sends_all_again(tmp_path: Path, whole: bool) -> None:
    """What lies there already is written over, or believed if it was whole (416)."""
    web = write_idx_folder(tmp_path / "web")
    data = (web / TRAIN_IMAGES).read_bytes()
    with mirror(web, Resuming) if whole else mirror(web) as url:
        kept = tmp_path / "cache" / f".{TRAIN_IMAGES}.{sha256_hex(url.encode())[:8]}.partial"
        kept.parent.mkdir()
        kept.write_bytes(data if whole else b"something else")
        fetch(kept.parent, {TRAIN_IMAGES: FILES[TRAIN_IMAGES]}, [url], console=QUIET)
    assert (kept.parent / TRAIN_IMAGES).read_bytes() == data


def test_a_file_that_never_ends_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends too much does not fill the disk."""
    monkeypatch.setattr(download, "MOST_BYTES", 100)
    with mirror(write_idx_folder(tmp_path / "web")) as url:
        assert "far more than" in refused(tmp_path / "cache", [url])


def test_two_downloads_at_once_bring_one_copy(tmp_path: Path) -> None:
    """Trainings that start together wait for each other instead of mixing their bytes."""
    Resuming.sent.clear()
    with mirror(write_idx_folder(tmp_path / "web"), Resuming) as url:
        threads = [
            Thread(target=fetch, args=(tmp_path / "c", FILES, [url]), kwargs={"console": QUIET})
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(Resuming.sent) == len(FILES)
    assert len(idx_folder(tmp_path / "c").test) == 12


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the cache's folder should be is no traceback."""
    (tmp_path / "cache").write_text("")
    assert "cannot be written: File exists" in refused(tmp_path / "cache", [])


def test_progress_is_told_where_it_is_wanted(tmp_path: Path) -> None:
    """A console sees each file's name and host; a quiet one sees nothing."""
    told = Console(file=io.StringIO(), width=120)
    with mirror(write_idx_folder(tmp_path / "web")) as url:
        fetch(tmp_path / "cache", FILES, [url], console=told)
    assert isinstance(told.file, io.StringIO)
    assert f"Downloading {TRAIN_IMAGES} from 127.0.0.1" in told.file.getvalue()


@contextmanager
def published_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> Iterator[None]:
    """Fashion-MNIST as a tiny set of other images on a server of this test."""
    with mirror(write_idx_folder(tmp_path / "web", files)) as url:
        sums = {
            name: Checksum(sha256_hex((tmp_path / "web" / name).read_bytes())) for name in FILES
        }
        tiny = Published(
            "fashion-mnist", [url], sums, IDX_SETS["fashion-mnist"].labels, frozenset()
        )
        monkeypatch.setitem(sources._NAMED, "fashion-mnist", partial(sources._published, tiny))
        yield


def test_a_named_set_has_its_names_for_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fashion-mnist` is downloaded, called so, and its labels are garments, not numbers."""
    with published_here(tmp_path, monkeypatch, idx_files()):
        data = open_data("fashion-mnist", cache=tmp_path / "cache")
    assert (data.name, data.labels) == ("fashion-mnist", ("t-shirt", "trouser", "pullover"))


def test_a_damaged_cache_is_told_and_what_to_delete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cached file that is not the published one any more is not trained on."""
    with published_here(tmp_path, monkeypatch, idx_files()):
        open_data("fashion-mnist", cache=tmp_path / "cache")
    path = tmp_path / "cache" / "fashion-mnist" / TRAIN_IMAGES
    for damaged in (gzip.compress(idx_bytes(random_images(48, seed=9))), b"\x1f\x8bno"):
        path.write_bytes(damaged)
        with pytest.raises(DataSetInvalid, match=f"delete {path}, and it is downloaded again"):
            open_data("fashion-mnist", cache=tmp_path / "cache")


def emnist_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in files.items():
            archive.writestr(f"gzip/{name}.gz", gzip.compress(raw))
    return path


def open_emnist(tmp_path: Path, split: str) -> DataSet:
    """From the cache, in which the zip lies already: NIST's server is not asked."""
    emnist_zip(tmp_path / "emnist" / "gzip.zip", emnist_files(split))
    return open_data(f"emnist-{split}", cache=tmp_path)


@pytest.mark.parametrize(
    ("split", "labels"),
    [
        ("balanced", ("0", "A", "lower-a", "lower-t")),
        ("bymerge", ("0", "A", "lower-a", "lower-t")),
        ("byclass", ("0", "A", "lower-a", "lower-l")),
        ("letters", ("J", "Z")),
        ("digits", ("0",)),
        ("mnist", ("0",)),
    ],
)
def test_emnist_is_read_out_of_its_zip(tmp_path: Path, split: str, labels: tuple[str, ...]) -> None:
    """Every split by its name; letters begin at 1, and both cases differ on disks that ignore case."""
    data = open_emnist(tmp_path, split)
    assert data.name == f"emnist-{split}"
    assert set(labels) <= set(data.labels)
    assert len({label.lower() for label in data.labels}) == len(data.labels)


def test_emnist_is_turned_upright(tmp_path: Path) -> None:
    """The files hold every image transposed."""
    data = open_emnist(tmp_path, "digits")
    stored = random_images(120)
    assert np.array_equal(data.train.images[0, :, :, 0], stored[0].T)


def test_emnist_files_are_taken_by_path(tmp_path: Path) -> None:
    """One split's four files in a folder are the same data set; several are too many."""
    folder = write_idx_folder(tmp_path / "mine", emnist_files("letters"))
    assert np.array_equal(
        open_data(str(folder), cache=tmp_path).test.images,
        open_emnist(tmp_path, "letters").test.images,
    )
    write_idx_folder(folder, emnist_files("digits"))
    with pytest.raises(DataSetInvalid, match=r"several splits of EMNIST .digits, letters.: put"):
        open_data(str(folder), cache=tmp_path)


def test_a_broken_emnist_zip_is_told(tmp_path: Path) -> None:
    """A zip that is none, or lacks a split, is told with what to do."""
    path = emnist_zip(tmp_path / "emnist" / "gzip.zip", emnist_files("digits"))
    with pytest.raises(DataSetInvalid, match=r"emnist-letters-train-images.* is missing: delete"):
        open_data("emnist-letters", cache=tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataSetInvalid, match=r"cannot be read .*: delete it"):
        open_data("emnist-digits", cache=tmp_path)


def test_published_sums_are_of_four_files_and_labels_fit_the_contract() -> None:
    """The tables are whole: four sums of 64 digits for every set, ten names or as many as EMNIST has."""
    for published in IDX_SETS.values():
        assert len(published.files) == 4
        assert len(published.labels) == len(set(published.labels)) == 10
    sums = [checksum.sha256 for p in IDX_SETS.values() for checksum in p.files.values()]
    sums += [checksum.sha256 for checksum in EMNIST_ZIP.values()]
    assert {len(text) for text in sums} == {64}
    assert len(set(sums)) == len(sums)
    counts = {split: len(names) for split, names in EMNIST_LABELS.items()}
    letters = {"balanced": 47, "bymerge": 47, "byclass": 62, "letters": 27}
    assert counts == letters | {"digits": 10, "mnist": 10}


def test_a_folder_of_a_known_set_has_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever brings Fashion-MNIST's files has the same labels as who downloads them, zipped or not."""
    sums = frozenset(
        sha256_hex(idx_files()[f"{part}-labels-idx1-ubyte"]) for part in ("train", "t10k")
    )
    known = Published("known", [], {}, tuple("abc"), sums)
    monkeypatch.setitem(IDX_SETS, "known", known)
    for gz in (True, False):
        folder = write_idx_folder(tmp_path / f"{gz}", gz=gz)
        assert idx_folder(folder).labels == ("a", "b", "c")
    other = idx_files() | {"t10k-labels-idx1-ubyte": idx_bytes(labels_of(12, (2, 1, 0)))}
    assert idx_folder(write_idx_folder(tmp_path / "other", other)).labels == ("0", "1", "2")
