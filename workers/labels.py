"""Which label each sample of a shard has, as the ids that the decoder takes."""

import numpy as np

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.decoder import LabelIds


def label_ids_of(recipe: Recipe, shard: Shard, card: DecoderCard) -> LabelIds | None:
    """int64 [samples]; None for a decoder without labels."""
    if not card.labels:
        return None
    if recipe.label is not None:
        return np.full(shard.samples, card.label_id(recipe.label), np.int64)
    ids = {label: label_id for label_id, label in enumerate(card.labels)}
    labels = recipe.labels_between(shard.start, shard.stop)
    return np.fromiter((ids[label] for label in labels), np.int64, shard.samples)
