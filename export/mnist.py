"""MNIST (LeCun, Cortes, Burges 1998) from public mirrors, believed only by its checksums."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from export.files import write_whole
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)

#: sha256 of the uncompressed files: mirrors gzip them in their own ways.
CHECKSUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
TIMEOUT_S = 60.0


def fetch_mnist(
    folder: Path, *, mirrors: Sequence[str] = MIRRORS, checksums: Mapping[str, str] = CHECKSUMS
) -> Path:
    """Download what `folder` lacks. Raises DataSetInvalid with what each mirror answered."""
    for name, sha256 in checksums.items():
        path = folder / f"{name}.gz"
        if not path.exists():
            write_whole(path, _download(f"{name}.gz", sha256, mirrors))
    return folder


def _download(name: str, sha256: str, mirrors: Sequence[str]) -> bytes:
    failures = []
    for mirror in mirrors:
        try:
            return _verified(_get(f"{mirror}/{name}"), sha256)
        except (httpx.HTTPError, DataSetInvalid) as error:
            failures.append(f"{mirror}: {error}")
    raise DataSetInvalid(
        f"{name} could not be downloaded ({'; '.join(failures)}); give a folder by --data"
    )


def _get(url: str) -> bytes:
    return httpx.get(url, follow_redirects=True, timeout=TIMEOUT_S).raise_for_status().content


def _verified(compressed: bytes, sha256: str) -> bytes:
    try:
        found = sha256_hex(gzip.decompress(compressed))
    except (OSError, EOFError, zlib.error) as error:
        raise DataSetInvalid(f"not a gzip file ({error})") from error
    if found != sha256:
        raise DataSetInvalid(f"sha256 {found[:12]}…, wanted {sha256[:12]}…")
    return compressed
