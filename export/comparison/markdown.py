"""A comparison as Markdown tables, and where they stand in a page."""

from collections.abc import Iterable, Sequence

from export.comparison.rows import Comparison, PresetRow, VariantRow
from export.evaluation.figures import Spread
from service.contract.errors import StartRefused

BEGIN, END = "<!-- comparison: written by a command, not by hand -->", "<!-- end of comparison -->"

_PRESETS = (
    "preset",
    "label fidelity",
    "classification accuracy score",
    "−log p(x\\|label), nats",
    "decoder",
    "bare speed, one core",
    "training",
)
_VARIANTS = ("precision", "size", "speed", "grey levels apart, most / mean", "label fidelity")


def tables(found: Comparison) -> str:
    """Two tables and a sentence on what they rest on."""
    return "\n\n".join(
        (
            _table(_PRESETS, map(_preset_cells, found.presets)),
            _about(found),
            f"The `{found.varied}` decoder in fewer bits (`latentmill export --precision`):",
            _table(_VARIANTS, map(_variant_cells, found.variants)),
        )
    )


def placed(page: str, found: Comparison) -> str:
    """The page with the tables between its markers. Raises StartRefused where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise StartRefused(f"the page has no place for the tables: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}"


def _about(found: Comparison) -> str:
    reads = found.reference_accuracy
    reader = f"; the classifier reads {reads:.2%} of the real test images" if reads else ""
    return (
        f"{found.data}, {found.machine}, torch {found.torch}. Shares are means over evaluation "
        f"seeds with their standard deviation{reader}. Log-likelihood: {found.likelihood_samples:,} "
        f"importance samples for each of {found.likelihood_rows:,} test images, pixels drawn once "
        "as 0 or 1."
    )


def _preset_cells(row: PresetRow) -> Sequence[str]:
    return (
        f"`{row.preset}`",
        _share(row.fidelity),
        _share(row.score),
        f"{row.nll:.2f} ± {row.nll_standard_error:.2f}",
        f"{row.size_bytes / 1e6:.1f} MB",
        f"{row.images_per_s:,.0f}/s ({row.speed_to_first:.2f}×)",
        f"{row.epochs} epochs, {row.training_s / 60:.0f} min",
    )


def _variant_cells(row: VariantRow) -> Sequence[str]:
    return (
        row.precision,
        f"{row.size_bytes / 1e6:.1f} MB",
        f"{row.speed_to_fp32:.2f}×",
        f"{row.largest_difference_levels} / {row.mean_difference_levels:g}",
        _share(row.fidelity),
    )


def _share(found: Spread | None) -> str:
    if found is None:
        return "–"
    return f"{found.mean:.2%}" + (f" ± {found.spread:.2%}" if found.spread is not None else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
