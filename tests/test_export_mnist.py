"""MNIST by download, over real HTTP: believed by its checksums, from whichever mirror has it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from export.mnist import fetch_mnist
from export.sources import idx_folder
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex
from tests.fixtures.idx import idx_files, write_idx_folder

CHECKSUMS = {name: sha256_hex(raw) for name, raw in idx_files().items()}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def mirror(folder: Path) -> Iterator[str]:
    """A web server over a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_download_is_kept_and_not_repeated(tmp_path: Path) -> None:
    """The four files arrive, are readable as a data set, and the second time no server is asked."""
    with mirror(write_idx_folder(tmp_path / "web")) as url:
        folder = fetch_mnist(tmp_path / "cache", mirrors=[url], checksums=CHECKSUMS)
    assert len(idx_folder(folder).test) == 12
    assert fetch_mnist(tmp_path / "cache", mirrors=[url], checksums=CHECKSUMS) == folder


def test_second_mirror_is_asked_when_the_first_fails_or_lies(tmp_path: Path) -> None:
    """A mirror that is down, lacks a file or serves another one costs nothing but time."""
    (tmp_path / "empty").mkdir()
    liar = write_idx_folder(tmp_path / "liar", dict.fromkeys(CHECKSUMS, b"other"))
    with mirror(tmp_path / "empty") as down:
        pass
    with (
        mirror(tmp_path / "empty") as empty,
        mirror(liar) as lying,
        mirror(write_idx_folder(tmp_path / "web")) as good,
    ):
        mirrors = [down, empty, lying, good]
        folder = fetch_mnist(tmp_path / "cache", mirrors=mirrors, checksums=CHECKSUMS)
    assert len(idx_folder(folder).train) == 44


def test_wrong_checksum_writes_nothing_and_says_why(tmp_path: Path) -> None:
    """Bytes that are not MNIST's never reach the disk; the message names mirror and sum."""
    files = idx_files() | {"train-labels-idx1-ubyte": b"tampered"}
    with (
        mirror(write_idx_folder(tmp_path / "web", files)) as url,
        pytest.raises(DataSetInvalid) as error,
    ):
        fetch_mnist(tmp_path / "cache", mirrors=[url], checksums=CHECKSUMS)
    assert url in str(error.value)
    assert sha256_hex(b"tampered")[:12] in str(error.value)
    assert "give a folder by --data" in str(error.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["train-images-idx3-ubyte.gz"]


def test_page_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """A captive portal answers 200 with HTML: that is told as no gzip file."""
    web = tmp_path / "web"
    web.mkdir()
    for name in CHECKSUMS:
        (web / f"{name}.gz").write_text("<html>sign in</html>")
    with mirror(web) as url, pytest.raises(DataSetInvalid, match="not a gzip file"):
        fetch_mnist(tmp_path / "cache", mirrors=[url], checksums=CHECKSUMS)


def test_checksum_does_not_hang_on_how_a_mirror_compresses(tmp_path: Path) -> None:
    """Mirrors gzip MNIST in their own ways; the data inside are what is checked."""
    web = write_idx_folder(tmp_path / "web", gz=False)
    for name in CHECKSUMS:
        raw = (web / name).read_bytes()
        (web / f"{name}.gz").write_bytes(gzip.compress(raw, compresslevel=1, mtime=7))
    with mirror(web) as url:
        assert fetch_mnist(tmp_path / "c", mirrors=[url], checksums=CHECKSUMS).is_dir()
