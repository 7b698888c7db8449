"""Shards made as a GPU worker makes them, without queue and storage: how fast, and how long the device waits."""

import time
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from service.contract.card import DecoderCard
from service.contract.recipe import Compression, Format
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard, all_shards
from tests.bench.passes import memory_of
from tests.bench.served import label_of
from workers.body import Bodies
from workers.decoder import Decoder, open_session
from workers.forward import QueuedForward, open_queued
from workers.make import make_shard

#: So that every core has some to make.
SHARD_SIZE = 4096


class Making(BaseModel):
    """`waiting` is the share of time in which the device was in no pass; `pass_s` is one pass, copies included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images_per_s: float
    pass_s: float
    waiting: float


def making(onnx: bytes, card: DecoderCard, *, device: str, count: int, threads: int) -> Making:
    """PNG in zip, by so many threads around one device. On the CPU provider, too, one thread draws for all."""
    decoder = Decoder(onnx, card)
    queued = _queued(onnx, card, device)
    decoder.forward = queued
    request, bodies = _request(card, count), Bodies()

    def make(shard: Shard) -> None:
        with bodies.one() as body:
            make_shard(decoder, request, shard, body, device=device)

    with ThreadPoolExecutor(threads) as pool:
        shards = list(all_shards(count, SHARD_SIZE))
        # Kernels, buffers and the machine's caches are not what is measured.
        list(pool.map(make, shards[: 2 * threads]))
        passes, busy_s, started = queued.bound.passes, queued.bound.busy_s, time.perf_counter()
        list(pool.map(make, shards))
    wall_s, busy_s = time.perf_counter() - started, queued.bound.busy_s - busy_s
    pass_s = busy_s / (queued.bound.passes - passes)
    return Making(images_per_s=count / wall_s, pass_s=pass_s, waiting=1 - busy_s / wall_s)


def _queued(onnx: bytes, card: DecoderCard, device: str) -> QueuedForward:
    return open_queued(
        lambda graph: open_session(onnx, card, device=device, graph=graph), card, memory_of(device)
    )


def _request(card: DecoderCard, count: int) -> ResolvedRequest:
    return ResolvedRequest(
        decoder=card.name,
        digest=card.digest,
        label=label_of(card),
        count=count,
        seed=1,
        temperature_milli=1000,
        format=Format.ZIP,
        compression=Compression.FAST,
        shard_size=SHARD_SIZE,
    )
