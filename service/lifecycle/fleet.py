"""How much is left to do, and how long it takes: the fleet's backlog, and when one job will have ended."""

from collections import defaultdict
from collections.abc import Iterable

from service.adapters.fleet import Unfinished
from service.contract.fleet import Estimate, FleetReport
from service.contract.job import Job
from service.contract.request import ResolvedRequest
from service.lifecycle.parts import Parts


def work_kind(request: ResolvedRequest) -> str:
    """What the time of a sample depends on."""
    return f"{request.digest}:{request.format}:{request.compression}"


def look_kind(request: ResolvedRequest, label: str | None) -> str:
    """What its bytes depend on, too: how the images of a label look at a temperature."""
    return f"{work_kind(request)}:{request.temperature_milli}:{label or ''}"


def longest_share(samples: int, *, shard_size: int, cores: int) -> int:
    """Samples that the busiest of so many cores makes of a job of which `samples` are left: a shard is made on one."""
    full, tail = divmod(samples, shard_size)
    rounds, over = divmod(full, cores)
    return rounds * shard_size + (shard_size if over else tail)


class _Speeds:
    """Busy seconds of one core for a sample, by kind of work; each kind is read once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[str, float | None] = {}

    def busy_s(self, jobs: Iterable[Unfinished]) -> float | None:
        """None as soon as one kind of work has never been done."""
        total = 0.0
        for job in jobs:
            each_s = self._of(work_kind(job.request))
            if each_s is None and job.samples_left:
                return None
            total += job.samples_left * (each_s or 0)
        return total

    def alone_s(self, job: Unfinished, cores: int) -> float:
        """Seconds that the job takes with all cores for itself, if its kind is known."""
        size = job.request.shard_size
        longest = longest_share(job.samples_left, shard_size=size, cores=cores)
        return longest * (self._of(work_kind(job.request)) or 0)

    def _of(self, kind: str) -> float | None:
        if kind not in self._known:
            work = self._parts.ledger.fleet.work(kind)
            self._known[kind] = work.busy_ms / work.samples / 1000 if work.samples else None
        return self._known[kind]


def report_fleet(parts: Parts) -> FleetReport:
    """Raises LedgerUnavailable."""
    fleet = parts.ledger.fleet
    workers, jobs = fleet.workers(), list(fleet.unfinished())
    cores = sum(worker.cores for worker in workers)
    busy_s = _Speeds(parts).busy_s(jobs)
    return FleetReport(
        workers=workers,
        slots=sum(worker.slots for worker in workers),
        cores=cores,
        active_jobs=len(jobs),
        queued_messages=parts.queue.length(),
        samples_left=sum(job.samples_left for job in jobs),
        samples_per_s=round(fleet.samples_per_s(), 1),
        backlog_s=round(busy_s / cores, 3) if cores and busy_s is not None else None,
    )


def estimate(parts: Parts, job: Job, *, owner: str) -> Estimate:
    """When a job of `owner` will have ended. Raises LedgerUnavailable."""
    if job.status.is_terminal:
        return Estimate(jobs_ahead=0, seconds=0.0)
    place = job.priority.rank, int(job.created_at.timestamp() * 1000)
    ours, others = [], defaultdict(list)
    for other in parts.ledger.fleet.unfinished():
        if other.owner != owner:
            others[other.owner].append(other)
        elif other.job_id == job.id or (other.rank, other.created_ms) < place:
            ours.append(other)
    ahead = sum(other.job_id != job.id for other in ours)
    speeds, cores = _Speeds(parts), parts.ledger.fleet.cores()
    own_s = speeds.busy_s(ours)
    theirs_s = [speeds.busy_s(jobs) for jobs in others.values()]
    if own_s is None or not cores:
        return Estimate(jobs_ahead=ahead, seconds=None)
    # Whoever's work nobody can time delays us by its turns all the same.
    delay_s = sum(own_s if busy_s is None else min(own_s, busy_s) for busy_s in theirs_s)
    alone_s = max(
        (speeds.alone_s(other, cores) for other in ours if other.job_id == job.id), default=0
    )
    return Estimate(jobs_ahead=ahead, seconds=round(max(alone_s, (own_s + delay_s) / cores), 3))
