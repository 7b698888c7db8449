"""What a comparison of presets finds, one row per preset and one per variant of a decoder."""

from typing import Literal

from export.evaluation.figures import Figure, Spread
from service.contract.card import Precision
from service.contract.value import Value


class PresetRow(Value):
    """One preset on one data set. Shares are 0..1; `nll` is -log p(x|label) in nats per image.

    `speed_to_first` is that of one CPU thread against the first preset's, in one run.
    What needs labels is None without them.
    """

    preset: str
    fidelity: Spread | None
    score: Spread | None
    nll: Figure
    nll_standard_error: Figure
    size_bytes: int
    images_per_s: float
    speed_to_first: float
    epochs: int
    training_s: float


class VariantRow(Value):
    """One decoder in another precision, against fp32 in the same run."""

    precision: Precision
    size_bytes: int
    speed_to_fp32: float
    largest_difference_levels: int
    mean_difference_levels: float
    fidelity: Spread | None


class Comparison(Value):
    """All of it, with what it rests on; `machine` is in words."""

    format: Literal[1] = 1
    data: str
    machine: str
    torch: str
    likelihood_samples: int
    likelihood_rows: int
    reference_accuracy: float | None
    presets: tuple[PresetRow, ...]
    varied: str
    variants: tuple[VariantRow, ...]
