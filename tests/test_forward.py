"""A GPU's forward pass, on the CPU provider: fixed buffers, one thread, many callers, and the same bits."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused, StartRefused
from service.contract.recipe import Compression, Format
from service.contract.request import ResolvedRequest
from service.contract.shard import BLOCK, Shard
from tests.fixtures.decoders import tiny_card, tiny_decoder
from tests.test_decoder_session import graph_whose_shape_shows_when_run
from workers.body import Body
from workers.decoder import Decoder, open_session
from workers.forward import BoundForward, QueuedForward, open_queued
from workers.latents import Latents, draw_latents
from workers.make import make_shard
from workers.memory import CudaMemory, HostMemory

DIM = 8
KINDS = {"conditional": (tiny_decoder(), "3"), "unconditional": (tiny_decoder(labels=()), None)}


def queued(file: bytes, card: DecoderCard, memory: HostMemory | None = None) -> QueuedForward:
    return open_queued(lambda graph: open_session(file, card), card, memory or HostMemory())


def over_fixed_buffers(file: bytes, card: DecoderCard) -> Decoder:
    """A decoder as a GPU worker has it, but for the provider."""
    decoder = Decoder(file, card)
    decoder.forward = queued(file, card)
    return decoder


def latents(seed: int, samples: int = BLOCK) -> Latents:
    return draw_latents(seed, 0, samples, DIM)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_pass_over_fixed_buffers_has_the_same_bits(kind: str) -> None:
    """A whole block and a tail that fills no batch, with labels and without."""
    (file, card), label = KINDS[kind]
    plain, bound = Decoder(file, card), over_fixed_buffers(file, card)
    for samples in (BLOCK, 100):
        drawn = bound.decode(latents(1, samples), label)
        assert np.array_equal(drawn, plain.decode(latents(1, samples), label))


def test_callers_do_not_overwrite_each_other() -> None:
    """Eight threads draw other latents under other labels, and look at each batch after the others drew theirs."""
    file, card = tiny_decoder()
    plain, shared = Decoder(file, card), over_fixed_buffers(file, card)
    everybody_drew = threading.Barrier(8)

    def agrees(number: int) -> bool:
        wanted = plain.decode(latents(number), str(number))
        found = []
        for images in shared.batches(latents(number), str(number)):
            everybody_drew.wait(timeout=20)
            found.append(images.copy())
        return np.array_equal(np.concatenate(found), wanted)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(agrees, range(8)))


def test_a_single_pass_belongs_to_its_caller() -> None:
    """What `draw` returned stays when the next one is drawn."""
    shared = over_fixed_buffers(*tiny_decoder())
    ids = np.zeros(64, np.int64)
    first = shared.draw(latents(1, 64), ids)
    kept = first.copy()
    assert not np.array_equal(shared.draw(latents(2, 64), ids), kept)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("format", Format)
def test_archives_of_reused_buffers_are_the_same(format: Format, compression: Compression) -> None:
    """No archive keeps a batch that the next one overwrites."""
    file, card = tiny_decoder()
    request = ResolvedRequest(
        decoder=card.name,
        digest=card.digest,
        label="3",
        count=BLOCK,
        seed=1,
        temperature_milli=1000,
        format=format,
        compression=compression,
        shard_size=BLOCK,
    )
    shard = Shard(index=0, start=0, stop=BLOCK)
    decoders = (Decoder(file, card), over_fixed_buffers(file, card))
    one, other = (make_shard(each, request, shard, Body(), device="cpu") for each in decoders)
    assert one.record == other.record


class ToldMemory(HostMemory):
    """Remembers which threads touched it."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def on_host(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        return super().on_host(shape, dtype)

    def copy(self, *, target: int, source: int, size_bytes: int) -> None:
        self.threads.add(threading.current_thread().name)
        super().copy(target=target, source=source, size_bytes=size_bytes)


def test_one_thread_talks_to_the_device() -> None:
    """Of all decoders of the process: while one's CUDA graph is captured, no other call may reach the device."""
    memory = ToldMemory()
    decoders = [over_fixed_buffers(*tiny_decoder(seed=seed)) for seed in (0, 1)]
    for decoder in decoders:
        decoder.forward = queued(*tiny_decoder(), memory=memory)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: decoders[n % 2].decode(latents(n), "3"), range(8)))
    assert len(memory.threads) == 1


def test_a_graph_that_is_refused_is_done_without() -> None:
    """ONNX Runtime captures only what lies on the GPU as a whole; the decoder works without, and one line tells."""
    file, card = tiny_decoder()

    def no_graphs(graph: bool) -> Any:
        if graph:
            raise RuntimeError("graph capture is not supported\nfor this model")
        return open_session(file, card)

    with capture_logs() as logs:
        forward = open_queued(no_graphs, card, HostMemory())
    assert [(event["event"], event["reason"]) for event in logs] == [
        ("cuda_graph_refused", "graph capture is not supported")
    ]
    assert forward.draw(latents(1, 64), np.zeros(64, np.int64)).shape == (64, 8, 8, 1)


@pytest.mark.parametrize("error", [StartRefused("no driver"), DecoderRefused("no ONNX")])
def test_what_is_wrong_without_a_graph_too_is_told_as_it_is(error: Exception) -> None:
    """A missing driver and a bad file are not taken for a graph that cannot be captured."""

    def refusing(graph: bool) -> Any:
        raise error

    with capture_logs() as logs, pytest.raises(type(error), match=str(error)):
        open_queued(refusing, tiny_decoder()[1], HostMemory())
    assert logs == []


def test_images_of_another_size_than_the_buffer_are_refused() -> None:
    """A graph whose output turns out larger than the card says must not write past the buffer."""
    file = graph_whose_shape_shows_when_run()
    card = tiny_card(file, labels=(), shape=(4, 4, 1))
    with pytest.raises(RuntimeError, match="shape"):
        BoundForward(open_session(file, card), card, HostMemory())


@pytest.mark.parametrize(
    "wrong",
    [latents(1, 63), latents(1, 64).astype(np.float64), latents(1, 1)],
    ids=["rows", "type", "one"],
)
def test_latents_of_another_shape_or_type_are_refused(wrong: Any) -> None:
    """A device reads whatever bytes lie there; nothing is stretched or cast on the way."""
    with pytest.raises(ValueError, match=r"wanted$"):
        queued(*tiny_decoder()).draw(wrong, np.zeros(64, np.int64))


def test_passes_and_the_time_they_took_are_counted() -> None:
    """From which follows how long a device waited."""
    forward = queued(*tiny_decoder())
    before, busy_s = forward.bound.passes, forward.bound.busy_s
    forward.draw(latents(1, 64), np.zeros(64, np.int64))
    assert forward.bound.passes == before + 1
    assert forward.bound.busy_s > busy_s


def test_a_missing_cuda_runtime_is_told_with_what_to_install() -> None:
    """There is no CUDA 0."""
    with pytest.raises(
        StartRefused, match=r"libcudart\.so\.0 does not load: install the `gpu` extra"
    ):
        CudaMemory("0.0")
