"""A downloaded job as a data set: from archives of any format, each checked when it is opened."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from latentmill.archive import Arrays, read_archive
from latentmill.folder import archive_path, read_manifest
from latentmill.map_style import Images, Indexes, MapStyle, Transform

from service.contract.errors import ArchiveBroken, Fault, RequestInvalid
from service.contract.recipe import Format
from service.contract.value import sha256_hex


class StoredDataset(MapStyle):
    """The samples of a folder of `Client.download`, in index order.

    `labels` are names by position, such as the decoder's own; left out, the names that the job has, in order. Archives
    are opened when one of their samples is asked for, and kept up to `keep_bytes` of pixels in each process: what does
    not fit is better read in order, or shuffled once and stored so.

    Raises ArchiveBroken for a folder without a manifest, and later for an archive that is missing or was changed;
    RequestInvalid where `labels` lacks one of the job's.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        labels: Sequence[str] | None = None,
        transform: Transform | None = None,
        keep_bytes: int = 512 << 20,
    ) -> None:
        self._folder, self.transform = Path(folder), transform
        self.manifest = read_manifest(self._folder)
        recipe = self.manifest.recipe
        used = sorted(recipe.labels or ([recipe.label] if recipe.label else []))
        self._labels = tuple(used if labels is None else labels)
        self._ids = {label: place for place, label in enumerate(self._labels)}
        if missing := [label for label in used if label not in self._ids]:
            raise RequestInvalid([Fault("/labels", f"lacks {', '.join(missing)} of the job")])
        self._keep_bytes = keep_bytes
        self._opened: OrderedDict[int, Arrays] = OrderedDict()

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    @property
    def files(self) -> list[Path]:
        """The archives, in index order."""
        return [archive_path(self._folder, self.manifest, shard) for shard in self.manifest.shards]

    def __len__(self) -> int:
        return self.manifest.request.count

    def _arrays(self, places: Indexes) -> tuple[Images, Indexes]:
        size = self.manifest.request.shard_size
        numbers = places // size
        # One archive at least tells how large an image is.
        shape = self._archive(int(numbers[0]) if len(places) else 0).images.shape[1:]
        images = np.empty((len(places), *shape), np.uint8)
        label_ids = np.zeros(len(places), np.int64)
        for number in np.unique(numbers):
            here = np.flatnonzero(numbers == number)
            archive, rows = self._archive(int(number)), places[here] - number * size
            images[here] = archive.images[rows]
            if self._labels:
                label_ids[here] = [self._ids[label] for label in archive.labels[rows].tolist()]
        return images, label_ids

    def _archive(self, number: int) -> Arrays:
        arrays = self._opened.pop(number, None) or self._read(number)
        self._opened[number] = arrays
        while len(self._opened) > 1 and self._kept_bytes > self._keep_bytes:
            self._opened.popitem(last=False)
        return arrays

    @property
    def _kept_bytes(self) -> int:
        return sum(arrays.images.nbytes for arrays in self._opened.values())

    def _read(self, number: int) -> Arrays:
        shard, recipe = self.manifest.shards[number], self.manifest.recipe
        path = archive_path(self._folder, self.manifest, shard)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ArchiveBroken(f"{path} cannot be read: {error.strerror}") from error
        if sha256_hex(data) != shard.sha256:
            raise ArchiveBroken(f"{path} is not what its manifest says; download it again")
        return read_archive(data, recipe.format, recipe.label or recipe.labels)

    def to_webdataset(self, **options: Any) -> Any:
        """The archives of a tar job as a `webdataset.WebDataset`, in order unless `options` of it say otherwise.

        Needs the `webdataset` library. Raises RequestInvalid for another format.
        """
        if self.manifest.request.format != Format.TAR:
            why = f"{self.manifest.request.format} archives are none of WebDataset's; ask for tar"
            raise RequestInvalid([Fault("/format", why)])
        import webdataset

        options = {"shardshuffle": False} | options
        return webdataset.WebDataset([str(path) for path in self.files], **options)

    def __getstate__(self) -> dict[str, Any]:
        # What a process opened stays its own.
        return vars(self) | {"_opened": OrderedDict()}
