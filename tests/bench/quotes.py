"""`python -m tests.bench.quotes`: what a quote says of bytes and seconds, against what the job then took.

A fleet of its own on this machine makes some images of every label and format first: quotes go by what was made.
"""

from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from latentmill import Client

from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, cores, running

DECODER = "mnist"
FORMATS = ("zip", "tar", "npz", "parquet")
#: Fewer shards than cores, a last round that leaves cores idle, many rounds, every format, a mix.
ASKED: dict[str, dict[str, Any]] = {
    "20,000": {"label": 7, "count": 20_000},
    "50,000": {"label": 1, "count": 50_000},
    "100,000": {"label": 4, "count": 100_000},
    "300,000": {"label": 0, "count": 300_000},
    "200,000 of a mix": {"labels": {"1": 100_000, "8": 50_000, "5": 50_000}},
    "100,000 as tar": {"label": 2, "count": 100_000, "format": "tar"},
    "200,000 as npz": {"label": 8, "count": 200_000, "format": "npz"},
    "100,000 as parquet": {"label": 2, "count": 100_000, "format": "parquet"},
}


class Ratio(NamedTuple):
    """Quoted over true: 1 is a right quote."""

    bytes: float
    seconds: float


def quoted_over_true(client: Client, fields: dict[str, Any], seed: int) -> Ratio:
    """Of one job that has the fleet for itself."""
    quote = client.quote(DECODER, seed=seed, **fields)
    job = client.wait(client.submit(DECODER, seed=seed, **fields))
    assert quote["bytes"]
    assert quote["seconds"]
    assert job.finished_at
    took_s = (job.finished_at - job.created_at).total_seconds()
    return Ratio(quote["bytes"] / client.manifest(job).size_bytes, quote["seconds"] / took_s)


def _practise(client: Client) -> None:
    for number, format in enumerate(FORMATS):
        for label in range(10):
            client.wait(client.submit(DECODER, label, count=33_000, seed=number, format=format))


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.bench.quotes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="Jobs of each kind; in turns.")
    rounds = parser.parse_args().rounds
    found: dict[str, list[Ratio]] = {name: [] for name in ASKED}
    with TemporaryDirectory() as folder:
        plan = Plan(DataDir(Path(folder)), "127.0.0.1", free_port(), cores())
        with running(plan) as stack, Client(stack.url) as client:
            _practise(client)
            for seed in range(100, 100 + rounds):
                for name, fields in ASKED.items():
                    found[name].append(quoted_over_true(client, fields, seed))
    print(f"{'images':20} {'bytes':>6} {'seconds: median':>16} {'worst':>6}")
    for name, ratios in found.items():
        seconds = [ratio.seconds for ratio in ratios]
        worst = max(seconds, key=lambda ratio: abs(ratio - 1))
        size = median(ratio.bytes for ratio in ratios)
        print(f"{name:20} {size:6.3f} {median(seconds):16.2f} {worst:6.2f}")


if __name__ == "__main__":
    main()
