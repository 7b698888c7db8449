"""Label fidelity: does the classifier read in a sample the label that was asked for?"""

import numpy as np

from export.evaluation.bench import Bench
from export.evaluation.classifier import read
from export.evaluation.drawing import balanced, draw_set
from export.evaluation.figures import Figure, Spread, spread_of
from export.evaluation.reading import Table, confusion
from service.contract.value import Value


class Fidelity(Value):
    """Shares of samples read as asked. `confusion[asked][read]` counts the samples of all seeds."""

    samples_per_seed: int
    fidelity: Spread
    per_label: dict[str, Figure]
    confusion: tuple[tuple[int, ...], ...]


def label_fidelity(bench: Bench) -> Fidelity:
    """As many samples of each label from every evaluation seed, at temperature 1."""
    names, counts = bench.data.labels, balanced(bench.arguments.drawn, bench.decoder)
    tables = _tables(bench, counts)
    total = np.sum(tables, axis=0)  # [K, K]
    return Fidelity(
        samples_per_seed=sum(counts),
        fidelity=spread_of(table.trace() / table.sum() for table in tables),
        per_label={name: total[i, i] / total[i].sum() for i, name in enumerate(names)},
        confusion=tuple(tuple(row) for row in total.tolist()),
    )


def _tables(bench: Bench, counts: list[int]) -> list[Table]:
    """Asked x read, int64 [K, K], of each evaluation seed."""
    classifier, seeds = bench.classifier, bench.arguments.evaluation_seeds()
    tables = []
    with bench.watch.measuring("label fidelity", len(seeds)) as advance:
        for seed in seeds:
            drawn = draw_set(bench.decoder, counts, seed=seed)
            tables.append(confusion(drawn.labels, read(classifier, drawn.images), len(counts)))
            advance()
    return tables
