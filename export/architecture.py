"""From arguments to an untrained CVAE."""

from torch import nn

from export.arguments import TrainingArguments
from export.cvae import CVAE
from export.likelihood import Bernoulli, DiscretisedLogistic
from export.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from export.networks.dense import DenseDecoder, DenseEncoder, SkipDecoder
from export.networks.prior import FlowPrior, StandardPrior
from service.contract.card import ImageShape


def untrained_cvae(arguments: TrainingArguments, shape: ImageShape, labels: int) -> CVAE:
    """Weights drawn from torch's global random state; `labels` 0 makes it unconditional."""
    return CVAE(
        encoder=_encoder(arguments, shape, labels),
        decoder=_decoder(arguments, shape, labels),
        prior=_prior(arguments, labels),
        likelihood=_likelihood(arguments, shape),
        features=arguments.encoder_hidden,
        latent_dim=arguments.latent_dim,
        labels=labels,
    )


def _encoder(arguments: TrainingArguments, shape: ImageShape, labels: int) -> nn.Module:
    hidden = arguments.encoder_hidden
    if arguments.encoder == "dense":
        return DenseEncoder(shape.size_bytes, labels, hidden)
    return ConvolutionalEncoder(shape, labels, arguments.feature_maps, hidden)


def _decoder(arguments: TrainingArguments, shape: ImageShape, labels: int) -> nn.Module:
    latent_dim, hidden = arguments.latent_dim, arguments.hidden
    if arguments.decoder == "dense":
        dense = SkipDecoder if arguments.skip else DenseDecoder
        return dense(shape.size_bytes, labels, latent_dim, hidden)
    return ConvolutionalDecoder(shape, labels, latent_dim, arguments.feature_maps, hidden)


def _prior(arguments: TrainingArguments, labels: int) -> StandardPrior | FlowPrior:
    if not arguments.couplings:
        return StandardPrior()
    latent_dim, hidden = arguments.latent_dim, arguments.coupling_hidden
    return FlowPrior(latent_dim, labels, arguments.couplings, hidden)


def _likelihood(arguments: TrainingArguments, shape: ImageShape) -> Bernoulli | DiscretisedLogistic:
    if arguments.likelihood == "bernoulli":
        return Bernoulli()
    return DiscretisedLogistic(shape.channels)
