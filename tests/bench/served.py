"""A one-machine stack to measure: a worker process per core, folder storage, the decoder that is given."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentmill import Client

from export.publish import publish
from service.contract.card import DecoderCard
from service.contract.job import Job
from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, Stack, cores, running

#: Polling takes time from the cores that are measured.
POLL_S = 0.5


@contextmanager
def served(
    onnx: bytes, card: DecoderCard, *, workers: int | None = None, **settings: object
) -> Iterator[Stack]:
    """A running stack, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(
            *(DataDir(Path(folder)), "127.0.0.1", free_port(), workers or cores()),
            settings={"max_count": 10**9, "log_level": "warning"} | settings,
            prepare=lambda storage: publish(storage, onnx, card),
        )
        with running(plan) as stack:
            yield stack


def label_of(card: DecoderCard) -> str | None:
    """Any label; one whose digits have much ink, where there is a choice."""
    return None if not card.labels else card.labels[min(3, len(card.labels) - 1)]


def completed(client: Client, card: DecoderCard, count: int, format: str, seed: int) -> Job:
    """A job that ran to its end."""
    job = client.submit(card.name, label_of(card), count=count, format=format, seed=seed)
    return client.wait(job, poll_s=POLL_S)


def seconds_of(job: Job) -> float:
    """From acceptance to the outcome, by the server's clock."""
    assert job.finished_at is not None
    return (job.finished_at - job.created_at).total_seconds()
