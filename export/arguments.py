"""The arguments of a training run; without torch, because the command line shows the defaults."""

from typing import Literal

from pydantic import Field, model_validator

from service.contract.value import Value


class TrainingArguments(Value):
    """What decides the weights, beside the data and the machine; `export.presets` names good ones.

    `couplings` is the depth of the learned prior p(z|c); 0 is N(0, I). `hidden` are the units of
    the decoder's layers, `encoder_hidden` those of the encoder, which is never served.
    `skip` shows the latent to every layer of a dense decoder, not to the first alone.
    `feature_maps` are those of the smallest grid of a convolutional half.
    `binarise` redraws every pixel as 0 or 1 by its grey level, each time it is seen.
    `importance_samples` above 1 trains on the importance-weighted bound.
    `kl_warmup` is the share of the epochs in which the weight of the KL term grows from 0 to 1.
    `patience` stops after so many epochs without a better validation bound; 0 never does.
    """

    encoder: Literal["dense", "convolutional"] = "dense"
    decoder: Literal["dense", "convolutional"] = "dense"
    skip: bool = False
    conditional: bool = True
    latent_dim: int = Field(default=20, ge=1, le=4096)
    hidden: int = Field(default=512, ge=1, le=65536)
    encoder_hidden: int = Field(default=512, ge=1, le=65536)
    feature_maps: int = Field(default=64, ge=2, le=4096, multiple_of=2)
    couplings: int = Field(default=0, ge=0, le=64)
    coupling_hidden: int = Field(default=64, ge=1, le=65536)
    likelihood: Literal["bernoulli", "logistic"] = "bernoulli"
    binarise: bool = False
    importance_samples: int = Field(default=1, ge=1, le=1000)
    kl_warmup: float = Field(default=0.0, ge=0, le=1)
    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    patience: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _binary_images_have_bernoulli_pixels(self) -> "TrainingArguments":
        if self.binarise and self.likelihood != "bernoulli":
            raise ValueError("binarised images need the bernoulli likelihood")
        return self

    @model_validator(mode="after")
    def _couplings_have_two_halves(self) -> "TrainingArguments":
        if self.couplings and self.latent_dim < 2:
            raise ValueError("couplings need a latent of two numbers or more")
        return self
