"""The checkpoint: PyTorch weights with the arguments that made them. It never leaves `export/`."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from export.arguments import TrainingArguments
from export.cvae import CVAE
from export.files import write_whole
from service.contract.card import ImageShape, Label
from service.contract.errors import CheckpointInvalid
from service.contract.value import Value


class CheckpointFacts(Value):
    """All of a checkpoint but the weights. `files` are sha256 sums, `quality` is in nats."""

    format: Literal[1] = 1
    arguments: TrainingArguments
    data: str
    files: dict[str, str]
    labels: tuple[Label, ...] = Field(strict=False)
    image: ImageShape
    torch: str
    quality: dict[str, float]


@dataclass(frozen=True)
class Checkpoint:
    """A trained CVAE: `facts` and `weights`."""

    facts: CheckpointFacts
    weights: Mapping[str, torch.Tensor]

    def model(self) -> CVAE:
        """The CVAE with these weights. Raises CheckpointInvalid if they do not fit."""
        # Without storage of its own: nothing is drawn to be thrown away, no random state moves.
        with torch.device("meta"):
            model = empty_cvae(self.facts.arguments, self.facts.image, len(self.facts.labels))
        try:
            model.load_state_dict(dict(self.weights), assign=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointInvalid(
                f"the weights do not fit the arguments: {_last_line(error)}"
            ) from error
        return model.eval()

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        buffer = io.BytesIO()
        torch.save({"facts": self.facts.model_dump_json(), "weights": dict(self.weights)}, buffer)
        write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running any code in it. Raises CheckpointInvalid."""
    try:
        content: Any = torch.load(
            io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True
        )
        return Checkpoint(CheckpointFacts.model_validate_json(content["facts"]), content["weights"])
    except OSError as error:
        raise CheckpointInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    except (
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointInvalid(
            f"{path} was not written by `latentmill train` ({type(error).__name__})"
        ) from error


def empty_cvae(arguments: TrainingArguments, image: ImageShape, labels: int) -> CVAE:
    return CVAE(
        shape=image, labels=labels, latent_dim=arguments.latent_dim, hidden=arguments.hidden
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2].strip()[:200]
