"""Train a CVAE: Adam, a cosine learning rate, the weights of the best epoch."""

from pathlib import Path

from rich.console import Console

from export.accelerator import CPU, Accelerator
from export.arguments import TrainingArguments
from export.bound import Bound, elbo
from export.checkpoint import Checkpoint, CheckpointFacts, Epoch
from export.data import DataSet, Split, unconditional
from export.epoch import steps_of, steps_per_epoch
from export.run import Run, load_run, new_run, save_run
from export.training_bar import TrainingBar
from service.contract.errors import DataSetInvalid

#: Of the latents and binarised pixels that validation and test splits are measured with.
MEASURE_SEED = 0


def train(
    data: DataSet,
    arguments: TrainingArguments,
    *,
    accelerator: Accelerator = CPU,
    console: Console | None = None,
    state: Path | None = None,
) -> Checkpoint:
    """Fit a CVAE to `data.train`, keep its best epoch on `data.validation`, measure on `data.test`.

    Same data, arguments and machine: same weights. The global random state is left alone.
    `state` names the file of an unfinished run: written after every epoch, gone on from if it is
    there, removed at the end. Raises TrainingDiverged, CheckpointInvalid, and DataSetInvalid for
    images that the arguments are not for.
    """
    _refuse_colours_as_strokes(data, arguments)
    data = data if arguments.conditional else unconditional(data)
    run = _begin(data, arguments, accelerator, state)
    steps = steps_per_epoch(data.train, arguments)
    with TrainingBar(console or Console(quiet=True), run, steps) as bar:
        while not run.is_over:
            _epoch(run, data, bar)
            if state:
                save_run(state, run)
    checkpoint = _checkpoint(run, data)
    if state:
        state.unlink(missing_ok=True)
    return checkpoint


def _refuse_colours_as_strokes(data: DataSet, arguments: TrainingArguments) -> None:
    if arguments.binarise and data.shape.channels > 1:
        raise DataSetInvalid(
            f"{data.name} has colours, and the arguments redraw pixels as 0 or 1, which is for "
            "strokes: add --no-binarise --likelihood logistic"
        )


def _begin(
    data: DataSet, arguments: TrainingArguments, accelerator: Accelerator, state: Path | None
) -> Run:
    if state and state.exists():
        return load_run(state, data, arguments, accelerator)
    return new_run(data, arguments, accelerator)


def _epoch(run: Run, data: DataSet, bar: TrainingBar) -> None:
    losses = []
    for loss in steps_of(run, data.train):
        losses.append(loss)
        bar.advance(loss)
    found = _measured(run, data.validation)
    run.add(
        Epoch(
            epoch=len(run.history) + 1,
            train=sum(losses) / len(losses),
            validation=found.negative_elbo,
            validation_reconstruction=found.reconstruction,
            validation_kl=found.kl,
        )
    )
    bar.tell(run)


def _measured(run: Run, split: Split) -> Bound:
    return elbo(run.model.eval(), split, seed=MEASURE_SEED, binarise=run.arguments.binarise)


def _checkpoint(run: Run, data: DataSet) -> Checkpoint:
    run.model.load_state_dict(dict(run.best))
    test = _measured(run, data.test)
    quality = {
        "test_negative_elbo_nats": test.negative_elbo,
        "test_reconstruction_nats": test.reconstruction,
        "test_kl_nats": test.kl,
    }
    facts = CheckpointFacts(
        **dict(run.facts),
        epoch=run.best_epoch,
        history=run.history,
        quality={name: round(nats, 4) for name, nats in quality.items()},
    )
    return Checkpoint(facts, run.best)
