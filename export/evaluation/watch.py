"""What a person sees while an evaluation runs: a bar for each measure, with the time it still takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

#: Called with how many more steps are done.
Advance = Callable[[], None]


class Watch:
    """Shows the bars on a console; without one it is silent."""

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console or Console(quiet=True),
        )

    def __enter__(self) -> "Watch":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    @contextmanager
    def measuring(self, what: str, total: int) -> Iterator[Advance]:
        """A bar of `total` steps; full at the end, because what is kept is not trained again."""
        task = self._bars.add_task(what, total=total)
        yield lambda: self._bars.advance(task)
        self._bars.update(task, completed=total)
