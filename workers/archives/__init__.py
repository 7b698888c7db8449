"""Archives: one shard as one file whose bytes follow from its samples alone; one file per format."""

from collections.abc import Callable
from typing import Protocol

from service.contract.card import DecoderCard
from service.contract.recipe import Format, Recipe
from service.contract.shard import Shard
from workers.archives.npz import NpzArchive
from workers.archives.parquet import ParquetArchive
from workers.archives.tar import TarArchive
from workers.archives.zip import zip_archive
from workers.body import Body
from workers.decoder import Images, LabelIds


class Archive(Protocol):
    """Takes a shard's samples in index order and lays them out in a body."""

    encoder: str
    """What can change the archive's bytes while its pixels stay the same; part of the profile."""

    label_ids: LabelIds | None
    """Of the samples that it is to be given, int64 [samples]; None for a decoder without labels."""

    def add(self, images: Images) -> None:
        """The next samples, uint8 [n, H, W, C]. What the body holds stays as it is, so it can be hashed at once."""

    def finish(self) -> None:
        """Complete the archive, once every sample of the shard was added."""


_WRITERS: dict[Format, Callable[[Recipe, Shard, DecoderCard, Body], Archive]] = {
    Format.ZIP: zip_archive,
    Format.NPZ: NpzArchive,
    Format.TAR: TarArchive,
    Format.PARQUET: ParquetArchive,
}


def new_archive(recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> Archive:
    """An empty archive of the recipe's format. Takes the body over, whatever it held."""
    return _WRITERS[recipe.format](recipe, shard, card, body)
