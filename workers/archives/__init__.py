"""Archives: one shard as one file whose bytes follow from its samples alone; one file per format."""

from collections.abc import Callable
from typing import Protocol

from service.contract.card import DecoderCard
from service.contract.recipe import Format, Recipe
from service.contract.shard import Shard
from workers.archives.npz import NpzArchive
from workers.archives.zip import ZipArchive
from workers.decoder import Images


class Archive(Protocol):
    """Takes a shard's samples in index order and gives the archive's bytes."""

    def add(self, images: Images) -> None:
        """The next samples, uint8 [n, H, W, C]."""

    def finish(self) -> bytes:
        """The whole archive, once every sample of the shard was added."""


_WRITERS: dict[Format, Callable[[Recipe, Shard, DecoderCard], Archive]] = {
    Format.ZIP: ZipArchive,
    Format.NPZ: NpzArchive,
}


def new_archive(recipe: Recipe, shard: Shard, card: DecoderCard) -> Archive:
    return _WRITERS[recipe.format](recipe, shard, card)
