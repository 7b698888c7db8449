"""The parts of a CVAE: a prior that is a true density, a likelihood that sums to one, any size."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from export.architecture import untrained_cvae
from export.arguments import TrainingArguments
from export.bound import elbo, encode_noise, importance_weighted, reconstruct
from export.cvae import CVAE, importance_bound
from export.data import Split
from export.likelihood import Bernoulli, DiscretisedLogistic
from export.networks.condition import one_hot
from export.networks.prior import FlowPrior, gaussian_log_density
from service.contract.card import ImageShape

SMALL = {"latent_dim": 5, "hidden": 8, "encoder_hidden": 8, "feature_maps": 4, "coupling_hidden": 8}


def model_of(shape: tuple[int, int, int], labels: int = 3, **arguments: Any) -> CVAE:
    torch.manual_seed(0)
    height, width, channels = shape
    image = ImageShape(height=height, width=width, channels=channels)
    return untrained_cvae(TrainingArguments(**SMALL | arguments), image, labels)


def stirred(prior: FlowPrior) -> FlowPrior:
    """A prior that is not the identity any more."""
    torch.manual_seed(1)
    for weight in prior.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return prior


def split_of(shape: tuple[int, int, int], labels: int, count: int = 6) -> Split:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    return Split(images.numpy(), (torch.arange(count) % max(1, labels)).numpy())


@pytest.mark.parametrize("latent_dim", [2, 5])
@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("couplings", [0, 1, 4])
def test_prior_goes_there_and_back(latent_dim: int, labels: int, couplings: int) -> None:
    """`to_noise` undoes `to_latent` for every label, depth and odd latent."""
    prior = stirred(FlowPrior(latent_dim, labels, couplings, hidden=8))
    eps, c = torch.randn(7, latent_dim), one_hot(torch.arange(7) % max(1, labels), labels)
    back, _ = prior.to_noise(prior.to_latent(eps, c), c)
    torch.testing.assert_close(back, eps, atol=1e-4, rtol=1e-4)


def test_prior_is_a_density() -> None:
    """log p(z|c) by the change of variables sums to one over the plane, another one per label."""
    prior = stirred(FlowPrior(2, 2, couplings=4, hidden=8)).double()
    axis = torch.arange(-12, 12, 0.04, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    for label in range(2):
        c = one_hot(torch.full((len(z),), label), 2).double()
        noise, log_det = prior.to_noise(z, c)
        mass = torch.exp(gaussian_log_density(noise) + log_det).sum() * 0.04**2
        assert mass.item() == pytest.approx(1.0, abs=0.02)


def test_untrained_prior_is_the_standard_normal() -> None:
    """Training begins where the textbook is: the density of any z is that of N(0, I)."""
    z = torch.randn(5, 4)
    noise, log_det = FlowPrior(4, 2, couplings=3, hidden=8).to_noise(
        z, one_hot(torch.ones(5).long(), 2)
    )
    torch.testing.assert_close(gaussian_log_density(noise) + log_det, gaussian_log_density(z))


def test_logistic_levels_sum_to_one() -> None:
    """The 256 grey levels share a probability of one, wherever the mean lies and however narrow."""
    for log_spread in (-6.0, -2.5, 0.0):
        likelihood = DiscretisedLogistic(1)
        likelihood.log_spread.data.fill_(log_spread)
        levels = torch.arange(256).reshape(-1, 1) / 255
        for logit in (-5.0, 0.0, 2.0):
            log_p = likelihood.log_probability(levels, torch.full((256, 1), logit))
            assert torch.exp(log_p).sum().item() == pytest.approx(1.0, abs=1e-4)


def test_logistic_has_a_spread_for_each_channel() -> None:
    """In H x W x C order every pixel is judged by the spread of its own channel."""
    rgb, x, logits = DiscretisedLogistic(3), torch.rand(1, 6), torch.randn(1, 6)
    rgb.log_spread.data = torch.tensor([-4.0, -2.0, 0.0])
    apart = 0.0
    for channel in range(3):
        grey = DiscretisedLogistic(1)
        grey.log_spread.data[0] = rgb.log_spread.data[channel]
        apart += grey.log_probability(x[:, channel::3], logits[:, channel::3]).item()
    assert rgb.log_probability(x, logits).item() == pytest.approx(apart, rel=1e-5)


def test_likelihood_takes_many_latents_for_one_image() -> None:
    """Logits [S, B, D] against x [B, D]: every latent is judged by its own image."""
    x, logits = torch.rand(2, 6), torch.randn(3, 2, 6)
    for likelihood in (Bernoulli(), DiscretisedLogistic(1)):
        whole = likelihood.log_probability(x, logits)
        assert whole.shape == (3, 2)
        torch.testing.assert_close(whole[1], likelihood.log_probability(x, logits[1]))


@pytest.mark.parametrize("half", ["dense", "convolutional"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (28, 28, 1), (64, 64, 3)])
@pytest.mark.parametrize("labels", [0, 3])
def test_every_size_is_encoded_and_drawn(
    half: str, shape: tuple[int, int, int], labels: int
) -> None:
    """Odd sides, one pixel, RGB, with labels and without: what is drawn is as large as the image."""
    model = model_of(shape, labels, encoder=half, decoder=half, couplings=2)
    split = split_of(shape, labels)
    assert reconstruct(model, split).shape == split.images.shape
    assert math.isfinite(elbo(model, split, seed=0).negative_elbo)


def test_convolutional_pixels_keep_their_places() -> None:
    """Flat pixels are in H x W x C order: a mark in the image is a mark at its place."""
    model = model_of((8, 8, 3), encoder="convolutional", decoder="convolutional")
    z, c = torch.zeros(1, 5), one_hot(torch.zeros(1).long(), 3)
    model.decoder.layers[-2].bias.data[:4] += 9  # type: ignore[index, union-attr]
    red = model.decode(z, c).reshape(8, 8, 3)
    assert (red[..., 0] > 4).all()
    assert (red[..., 1:] < 4).all()


def test_a_latent_draws_its_image_again() -> None:
    """The noise of an encoded image, pushed through the prior, decodes to its reconstruction."""
    model, split = model_of((6, 6, 1), couplings=3), split_of((6, 6, 1), 3)
    stirred(model.prior)  # type: ignore[arg-type]
    noise, c = torch.from_numpy(encode_noise(model, split)), one_hot(torch.tensor(split.labels), 3)
    levels = torch.sigmoid(model.draw(noise, c)) * 255
    apart = levels.detach().numpy() - reconstruct(model, split).reshape(6, -1)
    assert abs(apart).max() < 1


def test_more_samples_never_loosen_the_bound() -> None:
    """With equal terms the importance bound is their value; unequal ones give more than the mean."""
    even, uneven = torch.full((4, 1), -3.0), torch.tensor([[-1.0], [-5.0]])
    assert importance_bound(even, torch.zeros(4, 1)).item() == pytest.approx(-3.0)
    assert importance_bound(uneven, torch.zeros(2, 1)).item() > -3.0


def test_importance_weighted_likelihood_is_right_where_it_can_be_computed() -> None:
    """One latent dimension: 5,000 samples find what numerical integration over z finds."""
    model, split = model_of((2, 2, 1), labels=2, latent_dim=1), split_of((2, 2, 1), 2)
    x = (torch.tensor(split.images).flatten(1) > 127).float()
    binary = Split((x * 255).to(torch.uint8).numpy().reshape(-1, 2, 2, 1), split.labels)
    found = importance_weighted(model, binary, samples=5000, seed=0)
    z = torch.arange(-8, 8, 0.01).reshape(-1, 1, 1).expand(-1, len(x), 1)
    c = one_hot(torch.tensor(split.labels), 2)
    joint = model.likelihood.log_probability(x, model.decode(z, c.expand(len(z), -1, -1)))
    log_p = torch.logsumexp(joint + gaussian_log_density(z), dim=0) + math.log(0.01)
    assert found.nll == pytest.approx(-log_p.mean().item(), abs=0.01)


def test_marginal_likelihood_is_the_mean_over_the_labels() -> None:
    """p(x) = sum_c p(x|c) / K, in which every label has the same weight."""
    model = model_of((2, 2, 1), labels=3)
    with torch.no_grad():
        model.decoder.to_logits.weight.mul_(9)  # type: ignore[union-attr, operator]
    twice = np.repeat(np.array([0, 255, 255, 0], np.uint8).reshape(1, 2, 2, 1), 2, axis=0)
    alone, *each = (
        importance_weighted(
            model, Split(twice, np.full(2, label)), samples=5000, seed=0, marginal=marginal
        )
        for label, marginal in ((0, True), (0, False), (1, False), (2, False))
    )
    mean = np.mean([math.exp(-label.nll) for label in each])
    assert alone.nll == pytest.approx(-math.log(mean), abs=0.02)
    assert max(label.nll for label in each) - min(label.nll for label in each) > 0.01
