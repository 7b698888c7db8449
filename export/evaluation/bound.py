"""The test bound and the log-likelihood: how probable the model finds images that it never saw."""

from export.bound import elbo, importance_weighted
from export.evaluation.bench import Bench
from export.evaluation.figures import Figure
from service.contract.value import Value


class BoundOnTest(Value):
    """Means over `images` test images in nats; `negative_elbo` is the sum of its two terms.

    `binarised`: each pixel redrawn once as 0 or 1 by its grey level, as it was while training.
    """

    images: int
    negative_elbo: Figure
    reconstruction: Figure
    kl: Figure
    binarised: bool


class Likelihood(Value):
    """-log p in nats per image by `samples` latents each: mean over `images` and its standard error.

    Of x given its label, or (`marginal`) of x alone. `binarised` images are the protocol of the papers;
    where the model has 256 levels for a pixel, p is that of the levels themselves.
    """

    images: int
    samples: int
    nll: Figure
    standard_error: Figure
    marginal: bool
    binarised: bool
    seed: int


def bound_on_test(bench: Bench) -> BoundOnTest:
    """The negative ELBO (Kingma & Welling 2014, arXiv:1312.6114), one latent per image."""
    binarise = bench.trained_with.binarise
    with bench.watch.measuring("test bound", 1):
        found = elbo(bench.model, bench.data.test, seed=bench.arguments.seed, binarise=binarise)
    return BoundOnTest(
        images=len(bench.data.test),
        negative_elbo=found.negative_elbo,
        reconstruction=found.reconstruction,
        kl=found.kl,
        binarised=binarise,
    )


def log_likelihood(bench: Bench) -> Likelihood:
    """The importance-weighted bound of Burda, Grosse & Salakhutdinov 2015 (arXiv:1509.00519).

    Every pixel is drawn once, from the evaluation's seed, as a Bernoulli variable of its grey level.
    """
    arguments = bench.arguments
    split = bench.some(bench.data.test, arguments.likelihood_rows)
    binarise = bench.trained_with.likelihood == "bernoulli"
    with bench.watch.measuring("log-likelihood", len(split)) as advance:
        found = importance_weighted(
            bench.model,
            split,
            samples=arguments.likelihood_samples,
            seed=arguments.seed,
            binarise=binarise,
            marginal=arguments.marginal,
            told=lambda _: advance(),
        )
    return Likelihood(
        images=found.images,
        samples=found.samples,
        nll=found.nll,
        standard_error=found.standard_error,
        # Without labels there is nothing to sum over, and p is that of x anyway.
        marginal=found.marginal or not bench.decoder.card.labels,
        binarised=binarise,
        seed=arguments.seed,
    )
