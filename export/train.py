"""Train the CVAE: Adam, a cosine learning rate, one bar that says when it ends."""

from collections.abc import Iterator

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from export.arguments import TrainingArguments
from export.checkpoint import Checkpoint, CheckpointFacts, empty_cvae
from export.cvae import CVAE, elbo_terms, one_hot
from export.data import DataSet, Split
from service.contract.errors import TrainingDiverged

#: Images per forward pass when measuring; bounds memory, decides nothing.
MEASURE_BATCH = 1000


def train(
    data: DataSet, arguments: TrainingArguments, *, console: Console | None = None
) -> Checkpoint:
    """Fit the CVAE to `data.train` and measure it on `data.test`.

    Same data, arguments and machine: same weights. The global random state is left alone.
    Raises TrainingDiverged.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = empty_cvae(arguments, data.shape, len(data.labels))
        _fit(model, data, arguments, console or Console(quiet=True))
        return _checkpoint(model, data, arguments)


def _fit(model: CVAE, data: DataSet, arguments: TrainingArguments, console: Console) -> None:
    steps = -(-len(data.train) // arguments.batch_size)
    optimiser = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=arguments.epochs * steps)
    with _bar(console) as bar:
        task = bar.add_task("training", total=arguments.epochs * steps, loss="")
        for epoch in range(1, arguments.epochs + 1):
            for loss in _epoch(model, optimiser, data.train, arguments):
                schedule.step()
                bar.update(task, advance=1, loss=f"{loss:.1f} nats")
            _tell(bar, epoch, arguments, measure(model, data.validation, arguments))


def _epoch(
    model: CVAE, optimiser: torch.optim.Optimizer, split: Split, arguments: TrainingArguments
) -> Iterator[float]:
    """Step once per batch, every image once in a random order; yields each step's loss."""
    for rows in torch.split(torch.randperm(len(split)), arguments.batch_size):
        yield _step(model, optimiser, *_tensors(split, rows, model.labels, arguments.binarise))


def _step(model: CVAE, optimiser: torch.optim.Optimizer, x: Tensor, c: Tensor) -> float:
    """One step down the negative ELBO, summed per image and averaged over the batch."""
    optimiser.zero_grad()
    reconstruction, kl = _terms(model, x, c)
    loss = (reconstruction + kl).mean()  # []
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"the loss became {loss.item()} (reconstruction {reconstruction.mean().item():.3g}, "
            f"KL {kl.mean().item():.3g}); nothing was written: try a lower --lr"
        )
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item()


def _terms(model: CVAE, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    # One latent per image, as in Kingma & Welling, section 2.3.
    eps = torch.randn(len(x), model.to_mu.out_features)  # [B, L]
    logits, mu, logvar = model(x, c, eps)
    return elbo_terms(x, logits, mu, logvar)


def _tensors(split: Split, rows: Tensor, classes: int, binarise: bool) -> tuple[Tensor, Tensor]:
    """The images of these rows: x float32 [B, D] in 0..1, c float32 [B, K] one-hot."""
    picked = rows.numpy()
    x = torch.from_numpy(split.images[picked]).flatten(1).to(torch.float32) / 255  # [B, D]
    c = one_hot(torch.from_numpy(split.labels[picked]), classes)  # [B, K]
    return torch.bernoulli(x) if binarise else x, c


@torch.no_grad()
def measure(model: CVAE, split: Split, arguments: TrainingArguments) -> dict[str, float]:
    """Negative ELBO and its terms in nats per image, by one latent per image from a fixed seed."""
    totals = torch.zeros(2, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for rows in torch.split(torch.arange(len(split)), MEASURE_BATCH):
            x, c = _tensors(split, rows, model.labels, arguments.binarise)
            totals += torch.stack([term.sum(dtype=torch.float64) for term in _terms(model, x, c)])
    reconstruction, kl = (totals / len(split)).tolist()
    return {"negative_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def _checkpoint(model: CVAE, data: DataSet, arguments: TrainingArguments) -> Checkpoint:
    test = measure(model, data.test, arguments)
    facts = CheckpointFacts(
        arguments=arguments,
        data=data.name,
        files=dict(data.files),
        labels=data.labels,
        image=data.shape,
        torch=torch.__version__.partition("+")[0],
        quality={f"test_{name}_nats": round(value, 4) for name, value in test.items()},
    )
    return Checkpoint(
        facts, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    )


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, TextColumn("{task.fields[loss]}"), console=console)


def _tell(bar: Progress, epoch: int, arguments: TrainingArguments, found: dict[str, float]) -> None:
    bar.console.print(
        f"epoch {epoch}/{arguments.epochs}: validation negative ELBO {found['negative_elbo']:.2f} "
        f"= reconstruction {found['reconstruction']:.2f} + KL {found['kl']:.2f} nats",
        soft_wrap=True,
    )
