"""What every peer is asked for: so many images of one label, on one decoder, into one folder."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

#: Images in one archive: as many as Latentmill's default, and a ZIP without ZIP64.
ARCHIVE_SIZE = 16_384


@dataclass(frozen=True)
class Errand:
    """The arguments of a peer's command line."""

    decoder: Path
    count: int
    out: Path
    #: zlib's level for Pillow: 6 is what Pillow takes when nobody says; 1 is a quarter faster.
    png_level: int

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Errand":
        told = json.loads(text)
        return cls(Path(told["decoder"]), told["count"], Path(told["out"]), told["png_level"])

    @cached_property
    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads((self.decoder / "card.json").read_text())
        return card

    @property
    def label_id(self) -> int:
        labels = self.card["labels"]
        return labels.index("3") if "3" in labels else 0

    @property
    def label(self) -> str:
        """The folder of the images: the label's name, or `images` where a decoder has no labels."""
        return str([*self.card["labels"], "images"][self.label_id])

    def ranges(self, size: int = ARCHIVE_SIZE) -> Iterator[tuple[int, int]]:
        """`(start, stop)` of each archive."""
        for start in range(0, self.count, size):
            yield start, min(start + size, self.count)


def read_errand() -> Errand:
    parser = ArgumentParser()
    parser.add_argument("--decoder", type=Path, required=True, help="decoder.onnx and card.json")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="an empty folder, or a new one")
    parser.add_argument("--png-level", type=int, default=6)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    return Errand(asked.decoder.resolve(), asked.count, asked.out.resolve(), asked.png_level)
