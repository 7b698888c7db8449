"""Metadata beside the files of a folder, true of their bytes at every moment and after a crash."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.adapters.storage_folder_files import draft, prune, publish, remove


class Sidecar:
    """The metadata of one object. Writers hold the object's lock; readers need none.

    While a file takes another's place the sidecar holds the metadata of both by inode number, so
    that whichever stands is described. Of a single entry the number is not asked: a copied folder,
    which has other numbers, keeps its metadata.
    """

    def __init__(self, folder: Path, key: str, *, drafts: Path) -> None:
        self._path, self._folder, self._drafts = folder / key, folder, drafts

    def read(self, inode: int) -> dict[str, str]:
        """Metadata of the file that has this inode number; empty when none was given."""
        try:
            entries: dict[str, dict[str, str]] = json.loads(self._path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if len(entries) == 1:
            return next(iter(entries.values()))
        return entries.get(str(inode), {})

    @contextmanager
    def handover(
        self, standing: int | None, coming: int, metadata: Mapping[str, str]
    ) -> Iterator[None]:
        """Around the moment when inode `coming` takes the place of `standing`, or of nothing."""
        alone = standing is None
        if alone and not metadata:
            self.remove()  # What a process killed in the middle of a delete may have left.
        elif alone:
            self._write({coming: metadata})
        elif metadata or self._path.exists():
            assert standing is not None
            self._write({standing: self.read(standing), coming: metadata})
        yield
        if not alone:
            self._settle(coming, metadata)

    def remove(self) -> None:
        remove(self._path)
        prune(self._path.parent, below=self._folder)

    def _settle(self, inode: int, metadata: Mapping[str, str]) -> None:
        if metadata:
            self._write({inode: metadata})
        else:
            self.remove()

    def _write(self, entries: Mapping[int, Mapping[str, str]]) -> None:
        with draft(self._drafts, json.dumps(entries).encode()) as path:
            publish(path, self._path)
