"""The checkpoint: PyTorch weights with the arguments that made them. It never leaves `export/`."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from export.architecture import untrained_cvae
from export.arguments import TrainingArguments
from export.cvae import CVAE
from export.files import write_whole
from service.contract.card import ImageShape, Label
from service.contract.errors import CheckpointInvalid
from service.contract.value import Value

Weights = Mapping[str, torch.Tensor]


class Epoch(Value):
    """One point of the learning curves, in nats per image; `train` is the mean over its steps."""

    epoch: int
    train: float
    validation: float
    validation_reconstruction: float
    validation_kl: float


class RunFacts(Value):
    """What decides the weights. `files` are sha256 sums; `mixed` is bfloat16 where it is safe.

    `threads` are torch's: a convolution sums a batch's gradients thread by thread.
    """

    arguments: TrainingArguments
    data: str
    files: dict[str, str]
    labels: tuple[Label, ...] = Field(strict=False)
    image: ImageShape
    torch: str
    device: str
    mixed: bool
    threads: int


class CheckpointFacts(RunFacts):
    """All of a checkpoint but the weights, which are those of `epoch`: the best of `history`.

    `quality` is in nats per image.
    """

    format: Literal[2] = 2
    epoch: int
    history: tuple[Epoch, ...] = Field(strict=False)
    quality: dict[str, float]


@dataclass(frozen=True)
class Checkpoint:
    """A trained CVAE: `facts` and `weights`."""

    facts: CheckpointFacts
    weights: Weights

    def model(self) -> CVAE:
        """The CVAE with these weights. Raises CheckpointInvalid if they do not fit."""
        facts = self.facts
        # Without storage of its own: nothing is drawn to be thrown away, no random state moves.
        with torch.device("meta"):
            model = untrained_cvae(facts.arguments, facts.image, len(facts.labels))
        try:
            model.load_state_dict(dict(self.weights), assign=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointInvalid(
                f"the weights do not fit the arguments: {_last_line(error)}"
            ) from error
        return model.eval()

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        save_tensors(path, {"facts": self.facts.model_dump_json(), "weights": dict(self.weights)})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running any code in it. Raises CheckpointInvalid."""
    content = load_tensors(path)
    try:
        return Checkpoint(CheckpointFacts.model_validate_json(content["facts"]), content["weights"])
    except (LookupError, TypeError, ValueError) as error:
        raise foreign(path, error) from error


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values as one file, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_whole(path, buffer.getvalue())


def load_tensors(path: Path) -> Any:
    """What `save_tensors` wrote, without running any code in it. Raises CheckpointInvalid."""
    try:
        file = io.BytesIO(path.read_bytes())
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError, LookupError, ValueError) as error:
        raise foreign(path, error) from error


def foreign(path: Path, error: Exception) -> CheckpointInvalid:
    """The refusal of a file that somebody else wrote."""
    name = type(error).__name__
    return CheckpointInvalid(
        f"{path} was not written by this version of `latentmill train` ({name})"
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2].strip()[:200]
