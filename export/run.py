"""A training run under way: all that the next epoch depends on, so that it can be gone on with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from export.accelerator import Accelerator
from export.architecture import untrained_cvae
from export.arguments import TrainingArguments
from export.checkpoint import Epoch, RunFacts, Weights, foreign, load_tensors, save_tensors
from export.cvae import CVAE
from export.data import DataSet
from service.contract.errors import CheckpointInvalid


@dataclass
class Run:
    """The model after `len(history)` epochs. `best` are the weights of the best epoch so far."""

    facts: RunFacts
    accelerator: Accelerator
    model: CVAE
    optimiser: torch.optim.Optimizer
    best: Weights = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()

    def __post_init__(self) -> None:
        terms = self.model.log_terms
        self.log_terms = torch.compile(terms) if self.accelerator.compiled else terms

    @property
    def arguments(self) -> TrainingArguments:
        return self.facts.arguments

    @property
    def best_epoch(self) -> int:
        """Counted from 1; the first of equals."""
        return min(self.history, key=lambda epoch: epoch.validation).epoch

    @property
    def is_over(self) -> bool:
        """All epochs are done, or `patience` of them passed without a better one."""
        done, patience = len(self.history), self.arguments.patience
        if not done:
            return False
        return done >= self.arguments.epochs or bool(
            patience and done - self.best_epoch >= patience
        )

    def add(self, epoch: Epoch) -> None:
        """Remember an epoch, and the weights if no earlier one was as good."""
        self.history = (*self.history, epoch)
        if self.best_epoch == epoch.epoch:
            self.best = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in self.model.state_dict().items()
            }


def new_run(data: DataSet, arguments: TrainingArguments, accelerator: Accelerator) -> Run:
    """A run with no epoch done, its weights drawn from the arguments' seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = untrained_cvae(arguments, data.shape, len(data.labels)).to(accelerator.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    return Run(_facts(data, arguments, accelerator), accelerator, model, optimiser)


def save_run(path: Path, run: Run) -> None:
    """Write the file whole or not at all."""
    content = {
        "facts": run.facts.model_dump_json(),
        "history": [epoch.model_dump() for epoch in run.history],
        "weights": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "best": dict(run.best),
    }
    save_tensors(path, content)


def load_run(
    path: Path, data: DataSet, arguments: TrainingArguments, accelerator: Accelerator
) -> Run:
    """The run that `save_run` wrote. Raises CheckpointInvalid if it is one of something else."""
    content = load_tensors(path)
    run = new_run(data, arguments, accelerator)
    try:
        _refuse_another(path, RunFacts.model_validate_json(content["facts"]), run.facts)
        run.history = tuple(Epoch.model_validate(epoch) for epoch in content["history"])
        run.best = content["best"]
        run.model.load_state_dict(content["weights"])
        run.optimiser.load_state_dict(content["optimiser"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise foreign(path, error) from error
    return run


def _refuse_another(path: Path, found: RunFacts, wanted: RunFacts) -> None:
    other = _differences(found.model_dump(), wanted.model_dump())
    if other:
        raise CheckpointInvalid(
            f"{path} holds an unfinished run with another {', '.join(other)}: "
            "train with the same to go on with it, or add --restart to begin anew"
        )


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Names of what differs and how it was: sums of files without, an argument by its own name."""
    flat, asked = (facts | facts["arguments"] for facts in (found, wanted))
    names = [name for name in asked if name != "arguments" and flat[name] != asked[name]]
    return [name if name == "files" else f"{name} ({flat[name]})" for name in names]


def _facts(data: DataSet, arguments: TrainingArguments, accelerator: Accelerator) -> RunFacts:
    return RunFacts(
        arguments=arguments,
        data=data.name,
        files=dict(data.files),
        labels=data.labels,
        image=data.shape,
        torch=torch.__version__.partition("+")[0],
        device=accelerator.device.type,
        mixed=accelerator.mixed,
        threads=torch.get_num_threads(),
    )
