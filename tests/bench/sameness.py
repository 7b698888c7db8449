"""Equal bytes of one job by one, two and four worker processes and after a kill; equal pixels of two devices."""

import os
import signal
import time

import numpy as np
from latentmill import Client
from pydantic import BaseModel, ConfigDict

from service.contract.card import DecoderCard
from service.contract.shard import BLOCK
from service.local.stack import Stack, cores
from tests.bench.making import SHARD_SIZE
from tests.bench.served import POLL_S, label_of, served
from workers.decoder import Decoder
from workers.latents import draw_latents

#: A killed worker's shards are handed on after so long.
LEASES = {"lease_s": 3.0, "queue_lease_s": 3.0}
#: Stored before the worker is killed.
FEW = 3


class Pixels(BaseModel):
    """Of two profiles: the most grey levels apart, and the share of all values that differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    most_levels: int
    share: float


def same_bytes(onnx: bytes, card: DecoderCard, *, device: str, count: int) -> dict[str, bool]:
    """Whether every archive has the sha256 that one worker process gives it."""
    alone = _digests(onnx, card, device=device, count=count, workers=1)
    found = {
        f"{workers} worker processes": _digests(
            onnx, card, device=device, count=count, workers=workers
        )
        for workers in (2, 4)
    }
    killed = _digests(onnx, card, device=device, count=count, workers=1, kill=True)
    return {name: digests == alone for name, digests in (found | {"after kill -9": killed}).items()}


def _digests(
    onnx: bytes, card: DecoderCard, *, device: str, count: int, workers: int, kill: bool = False
) -> list[str]:
    """sha256 of every archive of a job on a stack of its own; npz, in which every pixel counts as it is."""
    # Workers that share a machine share its cores.
    each = max(1, cores() // workers)
    settings = LEASES | {"device": device, "cores": each}
    with served(onnx, card, workers=workers, **settings) as stack, Client(stack.url) as client:
        options = {"format": "npz", "shard_size": SHARD_SIZE}
        job = client.submit(card.name, label_of(card), count=count, seed=7, **options)
        if kill:
            _kill_in_the_middle(stack, client, job.id)
        client.wait(job, poll_s=POLL_S)
        return [shard.sha256 for shard in client.manifest(job).shards]


def _kill_in_the_middle(stack: Stack, client: Client, job_id: str) -> None:
    while (progress := client.job(job_id).progress).shards_done < FEW:
        time.sleep(0.01)
    os.kill(stack.supervisor.pids["worker-1"], signal.SIGKILL)
    assert progress.shards_done < progress.shards_total, (
        "the job ended before its worker was killed"
    )


def pixel_difference(onnx: bytes, card: DecoderCard, *, device: str, blocks: int) -> Pixels:
    """Between `device` and the CPU, over so many blocks, a label each in turn."""
    one, other = Decoder(onnx, card, device=device), Decoder(onnx, card)
    most = differing = values = 0
    for block in range(blocks):
        label = card.labels[block % len(card.labels)] if card.labels else None
        latents = draw_latents(7, block * BLOCK, (block + 1) * BLOCK, card.latent_dim)
        pair = (decoder.decode(latents, label).astype(np.int16) for decoder in (one, other))
        apart = np.abs(np.subtract(*pair))
        most = max(most, int(apart.max()))
        differing += int(np.count_nonzero(apart))
        values += apart.size
    return Pixels(images=blocks * BLOCK, most_levels=most, share=differing / values)
