"""Jobs and decoders in words, as the command line prints them."""

from datetime import datetime

from service.contract.card import DecoderCard
from service.contract.job import Job
from service.contract.request import Priority, ResolvedRequest


def describe(job: Job) -> str:
    """A job in a few lines, one fact each."""
    facts = {
        "job": job.id,
        "status": str(job.status),
        "request": in_words(job.request),
        "progress": progress(job),
        "tags": ", ".join(f"{name}={value}" for name, value in job.tags.items()),
        "priority": None if job.priority == Priority.NORMAL else str(job.priority),
        "created": _moment(job.created_at),
        "started": _moment(job.started_at),
        "finished": _moment(job.finished_at),
        "error": job.error,
    }
    return "\n".join(f"{name:<9} {fact}" for name, fact in facts.items() if fact)


def in_words(request: ResolvedRequest | None) -> str:
    """`1,000 images of mnist 3, seed 42, zip`, and what is not as usual."""
    if request is None:
        return "refused"
    label = _mix(request.labels) if request.labels else request.label
    what = request.decoder if label is None else f"{request.decoder} {label}"
    unusual = "" if request.temperature_milli == 1000 else f", temperature {temperature(request)}"
    return f"{request.count:,} images of {what}, seed {request.seed}, {request.format}{unusual}"


def _mix(labels: dict[str, int]) -> str:
    shown = ", ".join(f"{label}: {count:,}" for label, count in list(labels.items())[:10])
    return f"({shown})" if len(labels) <= 10 else f"({shown}, … {len(labels)} labels)"


def temperature(request: ResolvedRequest) -> str:
    return f"{request.temperature_milli / 1000:g}"


def progress(job: Job) -> str:
    """`512 of 1,000 images, 1 of 2 shards (1 reused)`."""
    done = job.progress
    reused = f" ({done.shards_reused:,} reused)" if done.shards_reused else ""
    images = f"{done.samples_done:,} of {done.samples_total:,} images"
    return f"{images}, {done.shards_done:,} of {done.shards_total:,} shards{reused}"


def row(job: Job) -> tuple[str, str, str, str, str]:
    """One line of `latentmill list`: id, status, images done, request, creation."""
    total = job.progress.samples_total
    share = f"{100 * job.progress.samples_done // total}%" if total else ""
    return job.id, str(job.status), share, in_words(job.request), _moment(job.created_at) or ""


def decoder_row(card: DecoderCard) -> tuple[str, str, str, str, str]:
    """One line of `latentmill decoders`: name, labels, image, version, description."""
    image = card.image
    colour = "grey" if image.channels == 1 else "RGB"
    size = f"{image.width}x{image.height} {colour}"
    return card.name, _labels(card.labels), size, card.digest[:12], card.description


def _labels(labels: tuple[str, ...]) -> str:
    shown = " ".join(labels[:12])
    return shown if len(labels) <= 12 else f"{shown} … ({len(labels)})"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
