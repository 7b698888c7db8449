"""What a person sees of a training run: one bar with the time left, one line per epoch."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from export.run import Run


class TrainingBar:
    """A context; steps advance the bar, epochs print a line."""

    def __init__(self, console: Console, run: Run, steps: int) -> None:
        """`steps` are those of one epoch."""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
        )
        done, epochs = len(run.history), run.arguments.epochs
        self._task = self._bar.add_task(
            "training", total=epochs * steps, completed=done * steps, loss=""
        )
        if done:
            console.print(f"going on after epoch {done}/{epochs}", soft_wrap=True)

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, loss: float) -> None:
        """One step is done; `loss` in nats per image."""
        self._bar.update(self._task, advance=1, loss=f"{loss:.1f} nats")

    def tell(self, run: Run) -> None:
        """Print the figures of the epoch that just ended."""
        found = run.history[-1]
        best = ", the best so far" if run.best_epoch == found.epoch else ""
        self._bar.console.print(
            f"epoch {found.epoch}/{run.arguments.epochs}: validation negative ELBO "
            f"{found.validation:.2f} = reconstruction {found.validation_reconstruction:.2f} "
            f"+ KL {found.validation_kl:.2f} nats{best}",
            soft_wrap=True,
        )
