"""The CVAE: its loss is the negative ELBO, its training repeats, its checkpoint is safe."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal

from export.architecture import untrained_cvae
from export.arguments import TrainingArguments
from export.bound import elbo
from export.checkpoint import Checkpoint, load_checkpoint
from export.cvae import CVAE, reparameterise
from export.data import DataSet
from export.files import write_whole
from export.networks.condition import one_hot
from export.sources import digits
from export.train import train
from service.contract.card import ImageShape
from service.contract.errors import CheckpointInvalid, TrainingDiverged

QUICK = TrainingArguments(epochs=1, latent_dim=4, hidden=16)


def untrained(labels: int, **arguments: Any) -> CVAE:
    """A model of 4 x 4 grey images with 2 latent dimensions."""
    torch.manual_seed(0)
    told = TrainingArguments(latent_dim=2, hidden=8, encoder_hidden=8, **arguments)
    return untrained_cvae(told, ImageShape(height=4, width=4, channels=1), labels)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return digits()


def test_terms_are_those_of_the_paper() -> None:
    """log P(x|z,c) and log Q - log p equal those of torch's own distributions, summed per image."""
    model = untrained(labels=3)
    generator = torch.Generator().manual_seed(1)
    x, eps = torch.rand(5, 16, generator=generator), torch.randn(5, 2, generator=generator)
    c = one_hot(torch.tensor([0, 1, 2, 0, 1]), 3)
    mu, logvar = model.encode(x, c)
    z = reparameterise(mu, logvar, eps)
    likelihood, ratio = model.log_terms(x, c, eps)
    bernoulli = Bernoulli(logits=model.decode(z, c), validate_args=False)
    posterior, prior = Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)
    torch.testing.assert_close(likelihood, bernoulli.log_prob(x).sum(1))
    torch.testing.assert_close(ratio, (posterior.log_prob(z) - prior.log_prob(z)).sum(1))


def test_reparameterised_latents_have_the_posterior_moments() -> None:
    """z = mu + sigma * eps is drawn from N(mu, sigma^2), and gradients reach mu and logvar."""
    mu = torch.full((20_000, 1), 3.0, requires_grad=True)
    logvar = torch.full((20_000, 1), math.log(4.0), requires_grad=True)
    z = reparameterise(
        mu, logvar, torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    )
    assert z.mean().item() == pytest.approx(3.0, abs=0.05)
    assert z.std().item() == pytest.approx(2.0, abs=0.05)
    z.sum().backward()
    assert mu.grad is not None
    assert logvar.grad is not None
    assert logvar.grad.abs().sum() > 0


def test_condition_reaches_encoder_and_decoder() -> None:
    """Another label changes both Q(z|x,c) and P(x|z,c): the model is conditional on both sides."""
    model = untrained(labels=3)
    x, z = torch.rand(1, 16), torch.randn(1, 2)
    zero, one = (one_hot(torch.tensor([label]), 3) for label in (0, 1))
    assert not torch.equal(model.encode(x, zero)[0], model.encode(x, one)[0])
    assert not torch.equal(model.decode(z, zero), model.decode(z, one))


@pytest.mark.parametrize("binarise", [False, True])
def test_same_seed_gives_the_same_weights(data: DataSet, binarise: bool) -> None:
    """Training twice gives bit-identical weights and figures, another seed gives others."""
    arguments = QUICK.model_copy(update={"binarise": binarise})
    first, again = train(data, arguments), train(data, arguments)
    other = train(data, arguments.model_copy(update={"seed": 1}))
    assert first.facts == again.facts
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert not torch.equal(first.weights["to_mu.weight"], other.weights["to_mu.weight"])


def test_training_leaves_the_global_random_state_alone(data: DataSet) -> None:
    """Somebody else's random numbers do not change because a decoder was trained between them."""
    before = torch.get_rng_state()
    train(data, QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_learns(data: DataSet, digits_checkpoint: Checkpoint) -> None:
    """Three epochs lower the negative ELBO of unseen digits; it is the sum of its two terms."""
    model = untrained_cvae(digits_checkpoint.facts.arguments, data.shape, 10)
    before = elbo(model, data.test, seed=0).negative_elbo
    after = digits_checkpoint.facts.quality
    assert after["test_negative_elbo_nats"] < before - 10
    terms = after["test_reconstruction_nats"] + after["test_kl_nats"]
    assert after["test_negative_elbo_nats"] == pytest.approx(terms, abs=1e-3)


def test_loss_that_is_no_number_stops_training_with_its_cause(data: DataSet) -> None:
    """An absurd learning rate ends in one line that names the terms and what to try."""
    with pytest.raises(TrainingDiverged, match=r"the loss became .*KL .*lower --lr"):
        train(data, QUICK.model_copy(update={"learning_rate": 1e18}))


def test_checkpoint_carries_its_own_arguments(
    tmp_path: Path, digits_checkpoint: Checkpoint
) -> None:
    """What was saved comes back: arguments, data sums, labels, shape, quality and the weights."""
    digits_checkpoint.save(tmp_path / "c.pt")
    back = load_checkpoint(tmp_path / "c.pt")
    assert back.facts == digits_checkpoint.facts
    z, c = torch.zeros(1, 8), one_hot(torch.tensor([3]), 10)
    assert torch.equal(back.model().decode(z, c), digits_checkpoint.model().decode(z, c))


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('ran code')",)


def test_foreign_files_are_no_checkpoints_and_run_no_code(
    tmp_path: Path, digits_checkpoint: Checkpoint
) -> None:
    """Missing, empty, truncated, foreign and malicious files are refused in one line."""
    path = tmp_path / "c.pt"
    digits_checkpoint.save(path)
    whole = path.read_bytes()
    torch.save({"facts": Exploit()}, tmp_path / "exploit.pt")
    torch.save([1, 2, 3], tmp_path / "list.pt")
    torch.save({"facts": "{}", "weights": {}}, tmp_path / "facts.pt")
    files = {name: (tmp_path / f"{name}.pt").read_bytes() for name in ("exploit", "list", "facts")}
    files |= {"empty": b"", "text": b"hello", "truncated": whole[: len(whole) // 2]}
    for name, content in files.items():
        path.write_bytes(content)
        with pytest.raises(CheckpointInvalid, match="was not written by") as error:
            load_checkpoint(path)
        assert "\n" not in str(error.value), name
    with pytest.raises(CheckpointInvalid, match="cannot be read"):
        load_checkpoint(tmp_path / "nowhere.pt")


def test_weights_that_do_not_fit_the_arguments_are_refused(digits_checkpoint: Checkpoint) -> None:
    """A checkpoint whose weights are of another shape says so, in one line."""
    weights = dict(digits_checkpoint.weights) | {"to_mu.bias": torch.zeros(3)}
    with pytest.raises(CheckpointInvalid, match="do not fit"):
        replace(digits_checkpoint, weights=weights).model()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """Whatever interrupts a write, the target is the old file whole and no draft stays behind."""
    target = tmp_path / "c.pt"
    write_whole(target, b"old")
    with pytest.raises(TypeError):
        write_whole(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.pt", "folder"]


def test_measuring_is_repeatable(data: DataSet, digits_checkpoint: Checkpoint) -> None:
    """The figures of the card do not change from one measurement to the next."""
    model = digits_checkpoint.model()
    first = elbo(model, data.test, seed=3, binarise=True)
    torch.rand(7)
    assert elbo(model, data.test, seed=3, binarise=True) == first
    assert np.isfinite(first.negative_elbo)
