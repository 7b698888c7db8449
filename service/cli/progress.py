"""Progress bars, on stderr and only where somebody is looking."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from latentmill import Job
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

#: Called with how much is done and how much there is.
OnProgress = Callable[[int, int], None]


@contextmanager
def bar(what: str, *, in_bytes: bool = False) -> Iterator[OnProgress]:
    """A bar that moves as the yielded function is called; gone from the screen afterwards."""
    amount: ProgressColumn = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def counter(what: str) -> Iterator[Callable[[int], None]]:
    """A number that grows towards nobody knows what."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,}"))
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def job_bar(what: str) -> Iterator[Callable[[Job], None]]:
    """A bar of a job's samples."""
    with bar(what) as show:
        yield lambda job: show(job.progress.samples_done, job.progress.samples_total)
