"""`latentmill demo`: the whole way from a request to verified images, once, with figures."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from latentmill import Client, Job, verify_folder
from latentmill.archive import joined, read_archive
from latentmill.folder import discard
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from export.publish import read_bundled
from service.contract.errors import ArchiveBroken
from service.contract.shard import BLOCK, DEFAULT_SHARD_SIZE
from service.local import interrupt
from service.local.bare import bare_rate
from service.local.contact_sheet import write_contact_sheet
from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, cores, running
from service.local.up import FIRST_START

DECODER = "mnist"
#: Images on the contact sheet, and archives named in the report.
_SHOWN, _NAMED = 100, 4


@dataclass(frozen=True)
class Made:
    """What the stack made: the job, its archives, and the seconds from submit to completed."""

    job: Job
    archives: list[Path]
    seconds: float


def run(*, count: int, label: str, seed: int, to: Path, workers: int | None) -> None:
    """Bring a stack up in a temporary folder, run one job over HTTP, verify, measure, stop.

    Raises ArchiveBroken when an archive is not as its manifest says.
    """
    workers = workers or cores()
    with tempfile.TemporaryDirectory(prefix="latentmill-demo-") as data:
        plan = Plan(DataDir(Path(data)), "127.0.0.1", free_port(), workers)
        print(f"starting Redis, API, sweep and {workers} workers; {FIRST_START}", flush=True)
        with running(plan) as stack, Client(stack.url) as client:
            made = _make(client, count=count, label=label, seed=seed, to=to, workers=workers)
            interrupt.check()
            _verify(to)
            interrupt.check()
            bare = bare_rate(*read_bundled(DECODER), sessions=workers)
    _report(made, bare, workers, _draw_sheet(made, to))


def _make(client: Client, *, count: int, label: str, seed: int, to: Path, workers: int) -> Made:
    size = _shard_size(count, workers)
    started = time.perf_counter()
    job = client.submit(DECODER, label, count=count, seed=seed, shard_size=size)
    job = _wait(client, job)
    seconds = time.perf_counter() - started
    discard(to)
    return Made(job, client.download(job, to), seconds)


def _shard_size(count: int, workers: int) -> int:
    """As many whole blocks as give every worker a shard, at most the default."""
    return min(DEFAULT_SHARD_SIZE, -(-count // (workers * BLOCK)) * BLOCK)


def _wait(client: Client, job: Job) -> Job:
    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=job.progress.samples_total)

        def show(now: Job) -> None:
            interrupt.check()
            shown.update(task, completed=now.progress.samples_done)

        return client.wait(job, poll_s=0.05, on_progress=show)


def _verify(folder: Path) -> None:
    found = verify_folder(folder)
    if not found.is_intact:
        raise ArchiveBroken("; ".join(f"{fault.file} {fault.problem}" for fault in found.faults))
    print(f"verified {found.samples:,} images in {found.shards} archives against the manifest")


def _draw_sheet(made: Made, to: Path) -> Path:
    path, parts, request = to / "contact-sheet.png", [], made.job.request
    assert request is not None
    for archive in made.archives:
        parts.append(read_archive(archive.read_bytes(), request.format))
        if sum(len(part.images) for part in parts) >= _SHOWN:
            break
    write_contact_sheet(joined(parts).images[:_SHOWN], path)
    return path


def _report(made: Made, bare: float, workers: int, sheet: Path) -> None:
    count = made.job.progress.samples_done
    rate = count / made.seconds
    print(
        f"{count:,} images in {made.seconds:.2f} s: {rate:,.0f} images/s from submit to completed"
    )
    print(f"the bare decoder on {workers} cores: {bare:,.0f} images/s; ratio {rate / bare:.2f}")
    for path in made.archives[:_NAMED]:
        print(path)
    if len(made.archives) > _NAMED:
        print(f"… and {len(made.archives) - _NAMED} more archives")
    print(sheet)
