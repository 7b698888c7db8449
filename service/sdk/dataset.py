"""Generated images as a PyTorch data set: drawn where they are used, the same for any number of workers and ranks."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from latentmill.drawing import Drawing
from latentmill.map_style import Images, Indexes, MapStyle, Transform

from export.publish import load_folder, read_bundled
from service.contract.card import DecoderCard
from service.contract.errors import DataSetInvalid, RequestInvalid, UnknownDecoder
from service.contract.faults import label_faults, parse_request
from workers.decoder import Decoder


class SyntheticDataset(MapStyle):
    """Sample after sample of one seed: `(image, label)`, the image uint8 [H, W, C] or what `transform` makes of it.

    `decoder` is one that ships with Latentmill, by name, or a folder of `latentmill export`, as a `Path` or with a
    slash; pinned as `name@digest` another version is refused. `count` is how many samples each label has, for all or by
    label; label after label, they are the samples that jobs of these counts and this seed would store. `label` is the
    position in the decoder's labels, 0 without labels. Nothing is stored and no server is asked. Up to `keep_bytes` of
    pixels stay in memory once they are drawn, in each process that reads them.

    Raises RequestInvalid, UnknownDecoder, DecoderRefused.
    """

    def __init__(
        self,
        decoder: str | Path,
        *,
        count: int | Mapping[Any, int],
        seed: int | str,
        temperature: float = 1.0,
        transform: Transform | None = None,
        keep_bytes: int = 128 << 20,
    ) -> None:
        self._onnx, self.card = _decoder_of(decoder)
        self._counts = _counts_of(count, self.card, seed=seed, temperature=temperature)
        self._keep_bytes = keep_bytes
        self.seed, self.temperature, self.transform = int(seed), temperature, transform
        self._opened: tuple[int, Drawing] | None = None
        self._stops = np.cumsum(list(self._counts.values()), dtype=np.int64)
        self._ids = np.array([self._id(label) for label in self._counts], np.int64)

    @classmethod
    def load(
        cls,
        recipe: str | Path,
        *,
        decoder: str | Path | None = None,
        transform: Transform | None = None,
    ) -> "SyntheticDataset":
        """The data set that a file of `save` stands for; `decoder` where its decoder does not ship with Latentmill.

        Raises DataSetInvalid for another file, or for another decoder than the file names.
        """
        try:
            told = json.loads(Path(recipe).read_text())
            name = str(told.pop("decoder"))
            made = cls(decoder or name, transform=transform, **told)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataSetInvalid(f"{recipe} is no recipe of a data set: {error}") from error
        if made.pinned != name:
            raise DataSetInvalid(f"{recipe} is of decoder {name}, not of {made.pinned}")
        return made

    def save(self, recipe: str | Path) -> None:
        """Write what the data set follows from: a couple of hundred bytes that stand for all its images."""
        told = {
            "decoder": self.pinned,
            "count": {label or "": count for label, count in self._counts.items()},
            "seed": str(self.seed),
            "temperature": self.temperature,
        }
        if len(set(self._counts.values())) == 1 and len(self._counts) == max(
            1, len(self.card.labels)
        ):
            told["count"] = next(iter(self._counts.values()))
        Path(recipe).write_bytes(json.dumps(told).encode() + b"\n")

    @property
    def pinned(self) -> str:
        """The decoder, as `name@digest`."""
        return f"{self.card.name}@{self.card.digest}"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    def __len__(self) -> int:
        return int(self._stops[-1])

    def _arrays(self, places: Indexes) -> tuple[Images, Indexes]:
        number = np.searchsorted(self._stops, places, side="right")
        indexes = places - np.r_[0, self._stops][number]
        drawing, label_ids = self._drawing, self._ids[number]
        is_kept = len(self) * self.card.image.size_bytes <= self._keep_bytes
        draw = drawing.draw_and_keep if is_kept and len(places) else drawing.draw
        return draw(indexes, label_ids), label_ids

    def __getstate__(self) -> dict[str, Any]:
        # A session lives in one process; whoever unpickles this opens its own.
        return vars(self) | {"_opened": None}

    @property
    def _drawing(self) -> Drawing:
        # A loader forks its workers, and no session of ONNX Runtime outlives a fork.
        if self._opened is None or self._opened[0] != os.getpid():
            temperature_milli = round(self.temperature * 1000)
            drawing = Drawing(
                Decoder(self._onnx, self.card),
                seed=self.seed,
                temperature_milli=temperature_milli,
            )
            self._opened = os.getpid(), drawing
        return self._opened[1]

    def _id(self, label: str | None) -> int:
        return 0 if label is None else self.card.label_id(label)


def _is_folder(decoder: str | Path) -> bool:
    """A folder is a path: a name alone is never one, whatever lies in the working folder."""
    return isinstance(decoder, Path) or "/" in decoder


def _decoder_of(decoder: str | Path) -> tuple[bytes, DecoderCard]:
    if _is_folder(decoder):
        return load_folder(Path(decoder))
    name, _, digest = str(decoder).partition("@")
    onnx, card = read_bundled(name)
    if digest not in ("", card.digest):
        raise UnknownDecoder(
            f"the decoder {name!r} that ships is {card.digest[:12]}…, not {digest[:12]}…"
        )
    return onnx, card


def _counts_of(
    count: int | Mapping[Any, int], card: DecoderCard, *, seed: int | str, temperature: float
) -> dict[str | None, int]:
    """Samples by label. Raises RequestInvalid with every fault of what a job would be refused for."""
    if isinstance(count, Mapping):
        asked = {str(label) if str(label) else None: number for label, number in count.items()}
    else:
        asked = dict.fromkeys(card.labels or (None,), count)
    faults = [fault for label in asked for fault in label_faults(label, card)]
    for number in asked.values() or (0,):
        body = {"decoder": card.name, "count": number, "seed": seed, "temperature": temperature}
        try:
            parse_request(body)
        except RequestInvalid as error:
            faults += error.faults
    if faults:
        raise RequestInvalid(list(dict.fromkeys(faults)))
    return asked
