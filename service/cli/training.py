"""`latentmill train`: from images to a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer
from pydantic import ValidationError

from export.arguments import TrainingArguments
from export.presets import DEFAULT_PRESET, PRESETS
from service.cli.refusals import check_writable, need_export_extra
from service.contract.settings import default_data_dir

if TYPE_CHECKING:
    from rich.console import Console

    from export.accelerator import Accelerator
    from export.data import DataSet

_PRESETS_IN_WORDS = "; ".join(f"`{name}`: {preset.reason}" for name, preset in PRESETS.items())
_MODEL, _STEPS, _RUN = "Model", "Optimisation", "Run"


class Source(NamedTuple):
    """What `--data`, `--size` and `--channels` say."""

    name: str
    size: int | None
    channels: int | None

    def open(self, console: "Console") -> "DataSet":
        from export.sources import open_data

        size = (self.size, self.size) if self.size else None
        cache = default_data_dir() / "datasets"
        return open_data(self.name, cache=cache, size=size, channels=self.channels, console=console)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(train)


def _given(panel: str, text: str) -> typer.models.OptionInfo:
    """An argument of training that the preset decides where it is left out."""
    option: typer.models.OptionInfo = typer.Option(
        help=f"{text}  \\[the preset's]", rich_help_panel=panel, show_default=False
    )
    return option


def train(
    data: Annotated[
        str,
        typer.Option(
            help="`mnist`, `fashion-mnist`, `kmnist`, `emnist-balanced` … (downloaded once), "
            "`digits`, a folder of IDX files, a folder of images with a directory per label, "
            "or an .npz file."
        ),
    ] = "mnist",
    size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Crop and resize images to N x N pixels.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 to take images as grey, 3 as RGB.  \\[as they are]")
    ] = None,
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")] = Path("checkpoint.pt"),
    preset: Annotated[
        str, typer.Option(help=_PRESETS_IN_WORDS + ". Options below change single arguments.")
    ] = DEFAULT_PRESET,
    encoder: Annotated[str | None, _given(_MODEL, "dense or convolutional.")] = None,
    decoder: Annotated[str | None, _given(_MODEL, "dense or convolutional.")] = None,
    skip: Annotated[
        bool | None, _given(_MODEL, "Show the latent to every layer of a dense decoder.")
    ] = None,
    conditional: Annotated[
        bool | None, _given(_MODEL, "Learn p(x|label), or p(x) without labels.")
    ] = None,
    latent_dim: Annotated[int | None, _given(_MODEL, "Numbers in a latent.")] = None,
    hidden: Annotated[int | None, _given(_MODEL, "Units in each layer of the decoder.")] = None,
    encoder_hidden: Annotated[int | None, _given(_MODEL, "Units in the encoder's layers.")] = None,
    feature_maps: Annotated[
        int | None, _given(_MODEL, "Feature maps of a convolutional half's smallest grid.")
    ] = None,
    couplings: Annotated[
        int | None, _given(_MODEL, "Depth of the learned prior; 0 is N(0, I).")
    ] = None,
    coupling_hidden: Annotated[int | None, _given(_MODEL, "Units in a coupling's layers.")] = None,
    likelihood: Annotated[
        str | None, _given(_MODEL, "bernoulli, or logistic: calibrated, for grey levels and RGB.")
    ] = None,
    epochs: Annotated[int | None, _given(_STEPS, "Passes over the images.")] = None,
    batch_size: Annotated[int | None, _given(_STEPS, "Images per step.")] = None,
    lr: Annotated[
        float | None, _given(_STEPS, "Adam's learning rate; falls to 0 along a cosine.")
    ] = None,
    binarise: Annotated[
        bool | None, _given(_STEPS, "Redraw pixels as 0 or 1 by their grey level, each time.")
    ] = None,
    importance_samples: Annotated[
        int | None, _given(_STEPS, "Latents per image; above 1 the bound of Burda et al.")
    ] = None,
    kl_warmup: Annotated[
        float | None,
        _given(_STEPS, "Share of the epochs in which the KL term grows to its weight."),
    ] = None,
    patience: Annotated[
        int | None,
        _given(_STEPS, "Stop after N epochs without a better validation bound; 0: never."),
    ] = None,
    seed: Annotated[int | None, _given(_STEPS, "Same seed, same weights.")] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="auto takes CUDA where there is one.", rich_help_panel=_RUN),
    ] = "auto",
    mixed: Annotated[
        bool | None,
        typer.Option(
            "--amp/--no-amp",
            help="bfloat16 where it is safe.  \\[on CUDA]",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads; other numbers give other last bits.  \\[all cores]",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the model first.", rich_help_panel=_RUN)
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Begin anew where an interrupted run was kept.", rich_help_panel=_RUN
        ),
    ] = False,
) -> None:
    """Train a conditional variational autoencoder. Needs the `export` extra.

    After every epoch the run is kept beside the checkpoint: Ctrl-C loses no more than an epoch, and
    the same command goes on to the same weights. The best epoch by validation bound is written.

    Examples: `latentmill train --data mnist --out mnist.pt`,
    `latentmill train --data ./photos --size 32 --preset convolutional --no-binarise --likelihood logistic`,
    `latentmill train --data digits --epochs 5 --latent-dim 8 --hidden 64`
    """
    arguments = _arguments(
        preset,
        encoder=encoder,
        decoder=decoder,
        skip=skip,
        conditional=conditional,
        latent_dim=latent_dim,
        hidden=hidden,
        encoder_hidden=encoder_hidden,
        feature_maps=feature_maps,
        couplings=couplings,
        coupling_hidden=coupling_hidden,
        likelihood=likelihood,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        binarise=binarise,
        importance_samples=importance_samples,
        kl_warmup=kl_warmup,
        patience=patience,
        seed=seed,
    )
    need_export_extra()
    from export.accelerator import accelerator

    where = accelerator(device, mixed=mixed, compiled=compiled, threads=threads)
    check_writable(out)
    source = Source(data, size, channels)
    _train(source, arguments, where, out, restart=restart)


def _train(
    source: "Source",
    arguments: TrainingArguments,
    where: "Accelerator",
    out: Path,
    *,
    restart: bool,
) -> None:
    from rich.console import Console

    from export.train import train as fit

    console, state = Console(), out.with_name(f"{out.name}.unfinished")
    if restart:
        state.unlink(missing_ok=True)
    data = source.open(console)
    try:
        checkpoint = fit(data, arguments, accelerator=where, console=console, state=state)
    except KeyboardInterrupt:
        if state.exists():
            print(f"stopped; the same command goes on from {state}, or delete that file")
        raise
    checkpoint.save(out)
    facts = checkpoint.facts
    print(
        f"{out}: epoch {facts.epoch} of {len(facts.history)}, test negative ELBO "
        f"{facts.quality['test_negative_elbo_nats']:.2f} nats per image"
    )


def _arguments(preset: str, **given: object) -> TrainingArguments:
    """The preset's arguments with those that were given. Raises BadParameter with every fault."""
    if preset not in PRESETS:
        raise typer.BadParameter(f"--preset is one of {', '.join(PRESETS)}, not {preset!r}")
    told = {name: value for name, value in given.items() if value is not None}
    try:
        return TrainingArguments.model_validate(PRESETS[preset].arguments.model_dump() | told)
    except ValidationError as error:
        faults = [f"{'/'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors()]
        raise typer.BadParameter("; ".join(faults)) from error
