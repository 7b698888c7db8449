"""The files under a folder in the order of their keys, read one folder at a time."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def walk(
    root: Path, *, prefix: str, after: str, hidden: str
) -> Iterator[tuple[str, os.stat_result]]:
    """Files whose key starts with `prefix` and sorts behind `after`. Raises OSError.

    S3's order: by the whole key, so `a-b` comes before `a/b`. Left out: the folder `hidden` of the
    root, and what vanishes meanwhile.
    """
    folder, slash, _ = prefix.rpartition("/")
    if folder.split("/")[0] != hidden:
        yield from _walk(root, folder + slash, prefix, after, f"{hidden}/")


def stat_file(path: Path) -> os.stat_result:
    """What the file system says of a file. Raises FileNotFoundError for a folder too."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(f"{path} is not a file")
    return found


def _walk(
    root: Path, folder: str, prefix: str, after: str, hidden: str
) -> Iterator[tuple[str, os.stat_result]]:
    for key in _keys(root, folder):
        if key.endswith("/"):
            if key != hidden and _reaches(key, prefix, after):
                yield from _walk(root, key, prefix, after, hidden)
        elif key.startswith(prefix) and key > after:
            with suppress(FileNotFoundError):
                yield key, stat_file(root / key)


def _keys(root: Path, folder: str) -> list[str]:
    """Keys in a folder; those of folders end in a slash, which sorts them as whole keys sort."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root / folder) as entries:
        return sorted(folder + entry.name + "/" * entry.is_dir() for entry in entries)
    return []


def _reaches(folder: str, prefix: str, after: str) -> bool:
    """Whether a folder can hold keys that start with `prefix` and sort behind `after`."""
    return (folder.startswith(prefix) or prefix.startswith(folder)) and (
        folder > after or after.startswith(folder)
    )
