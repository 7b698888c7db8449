"""Unpacks a downloaded job into one image folder, as torchvision and Hugging Face read it."""

from pathlib import Path

from latentmill.folder import archive_path, read_manifest, written_whole
from latentmill.image_files import HOLD_IMAGES, METADATA, file_name, read_image_files

from service.contract.errors import ArchiveBroken, Fault, RequestInvalid
from service.contract.recipe import Recipe


def extract(folder: Path) -> Path:
    """All images of a downloaded job in `folder/images`, with one `metadata.csv`: the same ones from any format.

    Raises RequestInvalid when the archives hold no image files, ArchiveBroken for a damaged one.
    """
    manifest = read_manifest(folder)
    if manifest.recipe.format not in HOLD_IMAGES:
        why = f"{manifest.recipe.format} archives hold arrays; {', '.join(HOLD_IMAGES)} archives hold image files"
        raise RequestInvalid([Fault("/format", why)])
    target = folder / "images"
    target.mkdir(exist_ok=True)
    # The table goes last: its presence says that every image is there.
    with written_whole(target / METADATA) as table:
        table.write(b"file_name,label,index\n")
        for shard in manifest.shards:
            path = archive_path(folder, manifest, shard)
            table.write(_unpack(path, manifest.recipe, target).encode("ascii"))
    return target


def _unpack(path: Path, recipe: Recipe, target: Path) -> str:
    """Write one archive's images; its rows of the table."""
    rows = []
    try:
        found = read_image_files(path.read_bytes(), recipe.format, recipe.label or recipe.labels)
        for file, label, index in zip(*found, strict=True):
            name = file_name(label, index)
            _write(target / name, file)
            rows.append(f"{name},{label},{index}\n")
    except (OSError, ArchiveBroken) as error:
        raise ArchiveBroken(f"{path} cannot be unpacked: {error}") from error
    return "".join(rows)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
