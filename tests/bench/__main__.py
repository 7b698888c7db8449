"""`make bench`: the bare decoder, every stage, the whole service and its peers, in one run on one machine.

Prints tables and writes the same figures as JSON, with a plot beside it. Only ratios travel to another machine.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from export.publish import load_folder
from service.contract.card import DecoderCard
from tests.bench.bare import bare_rates
from tests.bench.end_to_end import end_to_end
from tests.bench.machine import machine
from tests.bench.memory import peaks_mb
from tests.bench.peers.comparison import PEERS_PYTHON, measure_peers
from tests.bench.plot import write_plot
from tests.bench.png import png_rates
from tests.bench.scaling import scaling
from tests.bench.small_jobs import small_jobs
from tests.bench.stages import stages
from tests.bench.tables import tables, with_tables

#: What is measured unless told otherwise: the decoder that ships, and beside it, once `make presets` trained it, the
#: plain dense one that every figure can be compared by.
DECODERS = Path("deploy/decoders/mnist"), Path("checkpoints/presets/textbook/decoder")


def measured(folder: Path, given: Namespace, *, jobs_too: bool) -> dict[str, Any]:
    """Everything about one decoder; `jobs_too` adds what depends on it little, and takes minutes."""
    onnx, card = load_folder(folder)
    found: dict[str, Any] = {"bare": _told("bare decoder", bare_rates(onnx, card, seconds=3))}
    found["stages, one core"] = _told("stages", stages(onnx, card))
    found["PNG, one core"] = _told("PNG", _png(folder))
    whole = end_to_end(onnx, card, count=given.count)
    found["end to end"] = _told("end to end", whole)
    found["peers"] = _told("peers", measure_peers(folder.resolve(), given.peer_count))
    if jobs_too:
        found |= _about_jobs(onnx, card, given)
    return found


def _about_jobs(onnx: bytes, card: DecoderCard, given: Namespace) -> dict[str, Any]:
    """Worker processes, small jobs and memory."""
    return {
        "scaling": _told("worker processes", scaling(onnx, card, count=given.count)),
        "small jobs, ms": _told("small jobs", small_jobs(onnx, card)),
        "peak memory, MB": _told("memory", peaks_mb(onnx, card, counts=given.memory_counts)),
    }


def _png(folder: Path) -> dict[str, Any]:
    return {name: found.model_dump() for name, found in png_rates(folder).items()}


def _told(what: str, found: Any) -> Any:
    print(f"measured: {what}", file=sys.stderr, flush=True)
    return found


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--decoder", type=Path, action="append", help="Folder of a decoder; may be given again."
    )
    parser.add_argument("--count", type=int, default=1_000_000, help="Images of a job end to end.")
    parser.add_argument("--peer-count", type=int, default=50_000, help="Images that a peer draws.")
    parser.add_argument(
        "--memory-counts", type=int, nargs="+", default=[10**5, 10**7], help="Jobs for peak memory."
    )
    parser.add_argument("--quick", action="store_true", help="Leave out what takes minutes.")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    parser.add_argument("--plot", type=Path, default=Path("bench.svg"))
    parser.add_argument("--into", type=Path, help="Markdown file whose tables are written anew.")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    if not PEERS_PYTHON.exists():
        print("peers are left out: `make bench-peers` installs them", file=sys.stderr)
    found: dict[str, Any] = {"machine": machine(), "decoders": {}}
    for folder in given.decoder or filter(Path.is_dir, DECODERS):
        jobs_too = not given.quick and not found["decoders"]
        found["decoders"][str(folder)] = measured(folder, given, jobs_too=jobs_too)
    given.json.write_text(json.dumps(found, indent=1) + "\n")
    print(tables(found))
    write_plot(found, given.plot)
    if given.into:
        given.into.write_text(with_tables(given.into.read_text(), found))


if __name__ == "__main__":
    main()
