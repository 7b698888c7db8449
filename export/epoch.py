"""One epoch: every training image once, in a random order, one optimiser step per batch."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from export.arguments import TrainingArguments
from export.bound import pixels
from export.cvae import importance_bound
from export.data import Split
from export.networks.condition import one_hot
from export.run import Run
from service.contract.errors import TrainingDiverged
from service.contract.value import sha256_hex

#: Steps in which the learning rate climbs, or a tenth of a short training: Adam knows little of
#: the gradients' size at first.
CLIMB = 500
#: A longer gradient is shortened to this; a healthy run has none after its first steps.
LONGEST_GRADIENT = 200.0


def steps_of(run: Run, split: Split) -> Iterator[float]:
    """Take the run's next epoch of steps; yields each step's loss in nats per image.

    Raises TrainingDiverged.
    """
    arguments, device = run.arguments, run.accelerator.device
    # An epoch's random numbers follow from its own number, so a resumed run needs no other state.
    generator = torch.Generator(device).manual_seed(_seed_of(arguments.seed, len(run.history)))
    order = torch.randperm(len(split), generator=generator, device=device).cpu()
    done = len(run.history) * steps_per_epoch(split, arguments)
    total = arguments.epochs * steps_per_epoch(split, arguments)
    run.model.train()
    for step, rows in enumerate(torch.split(order, arguments.batch_size), start=done):
        _set_rate(run, arguments.learning_rate * _rate(step, total))
        weight = _kl_weight(step / total, arguments.kl_warmup)
        yield _step(run, _batch(split, rows, run, generator), weight, generator)


def steps_per_epoch(split: Split, arguments: TrainingArguments) -> int:
    """The last batch may be smaller."""
    return -(-len(split) // arguments.batch_size)


def _batch(
    split: Split, rows: Tensor, run: Run, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """x float32 [B, D] in 0..1, c float32 [B, K]."""
    picked, device = rows.numpy(), run.accelerator.device
    c = one_hot(torch.tensor(split.labels[picked], device=device), run.model.labels)
    return pixels(split.images[picked], device, generator if run.arguments.binarise else None), c


def _step(
    run: Run, batch: tuple[Tensor, Tensor | None], kl_weight: float, generator: torch.Generator
) -> float:
    """One step down the negative bound, averaged over the batch."""
    x, c = batch
    samples, latent_dim = run.arguments.importance_samples, run.model.latent_dim
    eps = torch.randn(samples, len(x), latent_dim, generator=generator, device=x.device)
    with run.accelerator.precision():
        likelihood, kl = run.log_terms(x, c, eps)
    # With one sample the ELBO (Kingma & Welling, section 2.3), with more the bound of Burda et al.
    loss = -importance_bound(likelihood, kl_weight * kl).mean()
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"the loss became {loss.item()} (reconstruction {-likelihood.mean().item():.3g}, "
            f"KL {kl.mean().item():.3g}); nothing was written: try a lower --lr"
        )
    run.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), LONGEST_GRADIENT)
    run.optimiser.step()
    return loss.item()


def _set_rate(run: Run, rate: float) -> None:
    for group in run.optimiser.param_groups:
        group["lr"] = rate


def _rate(step: int, total: int) -> float:
    """The share of the learning rate: a short climb, then a cosine down to 0."""
    climb = min(1.0, (step + 1) / min(CLIMB, 1 + total // 10))
    return climb * 0.5 * (1 + math.cos(math.pi * step / total))


def _kl_weight(progress: float, warmup: float) -> float:
    """From 0 to 1 within the first `warmup` of the training (Sønderby et al. 2016, section 3.2)."""
    return min(1.0, progress / warmup) if warmup else 1.0


def _seed_of(seed: int, epoch: int) -> int:
    """Neighbouring epochs and seeds share nothing: a hash, not a sum."""
    digest = sha256_hex(f"{seed}/{epoch}".encode())
    return int(digest[:15], 16)
