"""Arguments that were measured and kept; README's table has the figures."""

from dataclasses import dataclass

from export.arguments import TrainingArguments


@dataclass(frozen=True)
class Preset:
    """`arguments` and, in a sentence, when to take them."""

    arguments: TrainingArguments
    reason: str


PRESETS = {
    "flow": Preset(
        TrainingArguments(
            encoder="convolutional",
            skip=True,
            latent_dim=32,
            couplings=8,
            binarise=True,
            epochs=40,
        ),
        "a dense decoder behind a learned prior: four fifths of the textbook's speed, far better images",
    ),
    "convolutional": Preset(
        TrainingArguments(
            encoder="convolutional",
            decoder="convolutional",
            feature_maps=32,
            hidden=256,
            latent_dim=32,
            couplings=8,
            binarise=True,
            epochs=12,
        ),
        "a convolutional decoder behind the same prior: for larger images, at a quarter of the speed",
    ),
    "textbook": Preset(
        TrainingArguments(latent_dim=20, epochs=20),
        "dense halves and N(0, I), as Kingma & Welling have it: the reference",
    ),
}

#: What `latentmill train` takes if nothing is said.
DEFAULT_PRESET = "flow"
