"""Bare forward passes of one device: by `session.run`, over fixed buffers, and as a CUDA graph, by batch size."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx as onnx_format
import onnxruntime
from onnx import numpy_helper

from service.contract.card import DecoderCard
from service.contract.errors import StartRefused
from service.contract.value import sha256_hex
from workers.decoder import check_onnxruntime, open_session
from workers.forward import WARM_UP_PASSES, BoundForward, PlainForward, Room, device_thread
from workers.memory import CudaMemory, HostMemory, Memory

#: From the least that fills a GPU's lanes to a block.
BATCH_SIZES = (64, 256, 1024)


def memory_of(device: str) -> Memory:
    """Raises StartRefused without a GPU, where one is asked for."""
    check_onnxruntime(device)
    return HostMemory() if device == "cpu" else CudaMemory(onnxruntime.cuda_version)


def pass_rates(
    onnx: bytes, card: DecoderCard, *, device: str, seconds: float
) -> dict[int, dict[str, float]]:
    """Images per second by batch size, the card's first, and by way; a graph only where one was captured.

    Latents are copied to the device and images back in every pass, as in a worker; one thread calls.
    """
    sizes = dict.fromkeys((card.batch_size, *BATCH_SIZES))
    sized = {size: with_batch(onnx, card, size) for size in sizes}
    return {size: _by_way(*sized[size], device, seconds) for size in sizes}


def _by_way(onnx: bytes, card: DecoderCard, device: str, seconds: float) -> dict[str, float]:
    memory, thread = memory_of(device), device_thread(device)
    ways = {"session.run": _plain, "I/O binding": _bound}
    if device == "cuda":
        ways["I/O binding, CUDA graph"] = _captured
    rates = {}
    for way, open_pass in ways.items():
        found = thread.submit(_rate, open_pass, onnx, card, memory, seconds).result()
        rates |= {} if found is None else {way: found}
    return rates


OpenPass = Callable[[bytes, DecoderCard, Memory], Callable[[], object]]


def _rate(
    open_pass: OpenPass, onnx: bytes, card: DecoderCard, memory: Memory, seconds: float
) -> float | None:
    try:
        draw = open_pass(onnx, card, memory)
    except StartRefused:
        raise
    except Exception as error:  # ONNX Runtime has a class for each way to refuse a graph.
        print(f"{open_pass.__name__} at a batch of {card.batch_size}: {error}")
        return None
    for _ in range(WARM_UP_PASSES):
        draw()
    passes, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        draw()
        passes += 1
    return passes * card.batch_size / elapsed


def _plain(onnx: bytes, card: DecoderCard, memory: Memory) -> Callable[[], object]:
    forward = PlainForward(open_session(onnx, card, device=memory.device), card)
    latents = np.random.default_rng(0).standard_normal(
        (card.batch_size, card.latent_dim), np.float32
    )
    label_ids = np.zeros(card.batch_size, np.int64)
    return lambda: forward.draw(latents, label_ids)


def _bound(
    onnx: bytes, card: DecoderCard, memory: Memory, *, graph: bool = False
) -> Callable[[], object]:
    session = open_session(onnx, card, device=memory.device, graph=graph)
    forward, room = BoundForward(session, card, memory), Room.of(card, memory)
    room.latents[...] = np.random.default_rng(0).standard_normal(room.latents.shape, np.float32)
    room.label_ids[...] = 0
    return lambda: forward.run(room)


def _captured(onnx: bytes, card: DecoderCard, memory: Memory) -> Callable[[], object]:
    """Not yet run on a GPU."""
    return _bound(onnx, card, memory, graph=True)


def with_batch(onnx: bytes, card: DecoderCard, size: int) -> tuple[bytes, DecoderCard]:
    """The same decoder for another batch size, and a card that fits: for a measurement, not to publish.

    Takes the batch for what every first dimension of inputs, outputs and of constant shapes says.
    """
    model = onnx_format.load_from_string(onnx)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].dim_value == card.batch_size:
            dims[0].dim_value = size
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for constant in model.graph.initializer:
        if constant.name in shapes:
            _resize(constant, card.batch_size, size)
    file = model.SerializeToString(deterministic=True)
    changes = {"batch_size": size, "digest": sha256_hex(file), "size_bytes": len(file)}
    return file, card.model_copy(update=changes)


def _resize(constant: Any, before: int, after: int) -> None:
    shape = numpy_helper.to_array(constant).copy()
    if shape.size and shape[0] == before:
        shape[0] = after
        constant.CopyFrom(numpy_helper.from_array(shape, constant.name))
