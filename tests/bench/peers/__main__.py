"""`make bench-peers`: what else makes archives of images, each as its users would write it, on one decoder."""

import json
import os
import platform
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tests.bench.peers.comparison import PEERS_PYTHON, measure_peers


def read_arguments() -> Namespace:
    parser = ArgumentParser()
    parser.add_argument("--decoder", type=Path, default=Path("deploy/decoders/mnist"))
    parser.add_argument("--count", type=int, default=50_000, help="images; Ray and BentoML make 4x")
    parser.add_argument("--png-level", type=int, default=6, help="zlib's level for Pillow")
    parser.add_argument("--python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--to", type=Path, default=Path("peers.json"))
    return parser.parse_args()


def row(peer: str, told: dict[str, Any]) -> str:
    if "not_measured" in told:
        return f"{peer:20s}not measured: {told['not_measured']}"
    with_start = told["images"] / told["seconds_with_start"]
    size = told["bytes"] / told["images"]
    return (
        f"{peer:20s}{told['images']:>10,}{told['images_per_s']:>12,}{with_start:>14,.0f}"
        f"{size:>13,.0f}{told['peak_rss_mb']:>10,}"
    )


def main() -> None:
    asked = read_arguments()
    found = measure_peers(asked.decoder, asked.count, asked.python, png_level=asked.png_level)
    print(f"{asked.decoder}, {platform.machine()}, {os.cpu_count()} cores")
    heads = (
        f"{'images':>10s}{'images/s':>12s}{'with start':>14s}{'bytes/image':>13s}{'peak MB':>10s}"
    )
    print(f"{'':20s}{heads}")
    for peer, told in found.items():
        print(row(peer, told))
    asked.to.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
