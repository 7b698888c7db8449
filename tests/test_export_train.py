"""The CVAE: its loss is the negative ELBO, its training repeats, its checkpoint is safe."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.distributions import Bernoulli, Normal

from export.accelerator import CPU, Accelerator
from export.architecture import untrained_cvae
from export.arguments import TrainingArguments
from export.bound import elbo
from export.checkpoint import Checkpoint, Epoch, load_checkpoint
from export.cvae import CVAE, reparameterise
from export.data import DataSet, Split
from export.epoch import steps_of
from export.files import write_whole
from export.networks.condition import one_hot
from export.presets import DEFAULT_PRESET, PRESETS
from export.run import new_run, save_run
from export.sources import digits
from export.train import train
from service.contract.card import ImageShape
from service.contract.errors import CheckpointInvalid, DataSetInvalid, TrainingDiverged

pytestmark = pytest.mark.slow

QUICK = TrainingArguments(epochs=1, latent_dim=4, hidden=16, encoder_hidden=16)


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


def an_epoch(number: int, validation: float) -> Epoch:
    return Epoch(
        epoch=number,
        train=validation,
        validation=validation,
        validation_reconstruction=validation,
        validation_kl=0.0,
    )


def test_best_epoch_is_kept(data: DataSet) -> None:
    """Whatever comes after it, the checkpoint holds the epoch with the best validation bound."""
    run = new_run(data, QUICK.model_copy(update={"epochs": 9}), CPU)
    for number, validation in enumerate((50.0, 40.0, 40.0, 45.0), start=1):
        with torch.no_grad():
            run.model.to_mu.bias.fill_(float(number))
        run.add(an_epoch(number, validation))
    assert run.best_epoch == 2
    assert run.best["to_mu.bias"].unique().tolist() == [2.0]


@pytest.mark.parametrize(("patience", "stops_after"), [(0, 6), (1, 4), (2, 5)])
def test_training_stops_early_when_patience_ends(
    data: DataSet, patience: int, stops_after: int
) -> None:
    """After `patience` epochs without a better bound the run is over; without patience, at its end."""
    run = new_run(data, QUICK.model_copy(update={"epochs": 6, "patience": patience}), CPU)
    for number, validation in enumerate((9.0, 8.0, 7.0, 7.5, 7.5, 7.5), start=1):
        if run.is_over:
            break
        run.add(an_epoch(number, validation))
    assert (len(run.history), run.is_over) == (stops_after, True)


def test_checkpoint_has_the_learning_curves(digits_checkpoint: Checkpoint) -> None:
    """Every epoch is there with its training and validation bound, and which one was the best."""
    facts = digits_checkpoint.facts
    assert [epoch.epoch for epoch in facts.history] == [1, 2, 3]
    assert facts.history[-1].train < facts.history[0].train
    assert facts.epoch == min(facts.history, key=lambda epoch: epoch.validation).epoch


def unfinished(path: Path, data: DataSet, arguments: TrainingArguments) -> None:
    """A run of which one epoch is done."""
    run = new_run(data, arguments, CPU)
    list(steps_of(run, data.train))
    run.add(an_epoch(1, 60.0))
    save_run(path, run)


def test_unfinished_run_is_gone_on_with_to_the_same_weights(data: DataSet, tmp_path: Path) -> None:
    """A run taken up after its first epoch ends with the weights of one that was never stopped."""
    arguments = QUICK.model_copy(update={"epochs": 2, "binarise": True, "couplings": 2})
    unfinished(tmp_path / "state", data, arguments)
    gone_on = train(data, arguments, state=tmp_path / "state")
    never_stopped = train(data, arguments)
    assert gone_on.weights.keys() == never_stopped.weights.keys()
    assert all(
        torch.equal(gone_on.weights[name], weight) for name, weight in never_stopped.weights.items()
    )
    assert list(tmp_path.iterdir()) == []


def test_unfinished_run_of_something_else_is_refused(data: DataSet, tmp_path: Path) -> None:
    """Other arguments or other data do not go on with it: what differs is named, nothing is lost."""
    state, arguments = tmp_path / "state", QUICK.model_copy(update={"epochs": 2})
    unfinished(state, data, arguments)
    before = state.read_bytes()
    with pytest.raises(CheckpointInvalid, match=r"another seed \(0\): .*--restart"):
        train(data, arguments.model_copy(update={"seed": 1}), state=state)
    with pytest.raises(CheckpointInvalid, match=r"another data \(digits\), files"):
        train(replace(data, name="other", files={"x": "0" * 64}), arguments, state=state)
    assert state.read_bytes() == before
    state.write_bytes(b"something else")
    with pytest.raises(CheckpointInvalid, match="was not written by"):
        train(data, arguments, state=state)


def test_labels_are_not_looked_at_without_a_condition(data: DataSet) -> None:
    """An unconditional model is the same whatever the labels are, and its checkpoint has none."""
    arguments = QUICK.model_copy(update={"conditional": False})
    shuffled = Split(data.train.images, data.train.labels[::-1].copy())
    first, other = train(data, arguments), train(replace(data, train=shuffled), arguments)
    assert first.facts.labels == ()
    assert all(torch.equal(first.weights[name], other.weights[name]) for name in first.weights)


@pytest.mark.parametrize(
    "changed",
    [
        {"importance_samples": 3},
        {"kl_warmup": 0.5},
        {"likelihood": "logistic"},
        {"encoder": "convolutional", "decoder": "convolutional", "feature_maps": 4},
        {"skip": True},
    ],
)
def test_every_argument_counts(data: DataSet, changed: dict[str, Any]) -> None:
    """Each way to train ends in finite figures and in weights of its own."""
    plain, other = train(data, QUICK), train(data, QUICK.model_copy(update=changed))
    assert all(math.isfinite(value) for value in other.facts.quality.values())
    assert any(
        name not in plain.weights or not torch.equal(weight, plain.weights[name])
        for name, weight in other.weights.items()
    )


def test_mixed_precision_trains_in_fewer_bits(data: DataSet) -> None:
    """bfloat16 on the CPU takes the same path as on CUDA: finite, recorded, and close to float32."""
    mixed = train(data, QUICK, accelerator=Accelerator(torch.device("cpu"), mixed=True))
    whole = train(data, QUICK)
    assert (mixed.facts.mixed, whole.facts.mixed) == (True, False)
    assert not torch.equal(mixed.weights["to_mu.weight"], whole.weights["to_mu.weight"])
    nats = [found.facts.quality["test_negative_elbo_nats"] for found in (mixed, whole)]
    assert nats[0] == pytest.approx(nats[1], rel=0.02)


def test_presets_are_arguments_that_can_be_built() -> None:
    """Every preset makes a model, and the default is one of them."""
    assert DEFAULT_PRESET in PRESETS
    for preset in PRESETS.values():
        with torch.device("meta"):
            assert untrained_cvae(preset.arguments, ImageShape(height=28, width=28, channels=1), 10)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"binarise": True, "likelihood": "logistic"}, "bernoulli likelihood"),
        ({"couplings": 1, "latent_dim": 1}, "two numbers or more"),
        ({"feature_maps": 7}, "multiple of 2"),
    ],
)
def test_arguments_that_mean_nothing_together_are_refused(
    arguments: dict[str, Any], told: str
) -> None:
    """Before any image is read, with the reason."""
    with pytest.raises(ValidationError, match=told):
        TrainingArguments(**arguments)


def test_colours_are_not_redrawn_as_strokes(data: DataSet) -> None:
    """RGB images under a preset for strokes are refused with the flags that are for them."""
    rgb = replace(data, shape=data.shape.model_copy(update={"channels": 3}))
    with pytest.raises(DataSetInvalid, match="--no-binarise --likelihood logistic"):
        train(rgb, QUICK.model_copy(update={"binarise": True}))
