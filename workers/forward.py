"""One forward pass: by `session.run` on the processor, by one thread over fixed buffers on a GPU.

What a GPU needs, and why the threads of a worker do not call it themselves:

- ONNX Runtime keeps a captured CUDA graph, and the handles of cuBLAS and cuDNN, for each thread that calls, and
  captures on that thread's third pass (onnxruntime `cuda_execution_provider.h`, PerThreadContext): 64 slots would
  hold 64 of them.
- While a graph is captured, memory that another thread allocates or copies fails with error 900 and spoils the
  capture (onnxruntime#18806).
- cuBLAS promises equal bits from run to run only while one stream is active
  (docs.nvidia.com/cuda/cublas, "Results Reproducibility").

So one thread of the process does all of it, for all decoders, in the order in which shards ask; whoever waits for a
pass holds buffers of its own, and the next pass runs while this one's images are encoded.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from service.contract.card import IMAGE_OUTPUT, LABEL_INPUT, LATENT_INPUT, DecoderCard
from service.contract.errors import StartRefused
from workers.latents import Latents
from workers.memory import Memory, Span

log = structlog.get_logger(__name__)

Images = npt.NDArray[np.uint8]
LabelIds = npt.NDArray[np.int64]
#: float32 [batch, latent_dim] and int64 [batch] -> uint8 [batch, H, W, C]
Draw = Callable[[Latents, LabelIds], Images]

#: ONNX Runtime captures a CUDA graph on the third pass; the fourth replays it.
WARM_UP_PASSES = 4


class Forward(Protocol):
    """A decoder's forward pass, to be called from any thread."""

    def draw(self, latents: Latents, label_ids: LabelIds) -> Images:
        """One pass, into an array of its own."""

    def drawing(self) -> AbstractContextManager[Draw]:
        """For many passes: what a pass draws is valid until the next, or until the block ends."""


class PlainForward:
    """`session.run`, which any number of threads may call at once.

    An I/O binding is no faster on a processor: a pass of 256 images of the textbook decoder took 1.65 ms by
    `session.run`, 1.62 ms over bound buffers, and 1.66 ms with what a caller would have to copy.
    """

    def __init__(self, session: Any, card: DecoderCard) -> None:
        self._session, self._has_labels = session, bool(card.labels)

    def draw(self, latents: Latents, label_ids: LabelIds) -> Images:
        inputs: dict[str, Any] = {LATENT_INPUT: latents}
        if self._has_labels:
            inputs[LABEL_INPUT] = label_ids
        (images,) = self._session.run([IMAGE_OUTPUT], inputs)
        return images  # type: ignore[no-any-return]

    @contextmanager
    def drawing(self) -> Iterator[Draw]:
        yield self.draw


@dataclass(frozen=True)
class Room:
    """Buffers of the host for one pass of one caller."""

    latents: Latents  # float32 [batch, latent_dim]
    label_ids: LabelIds  # int64 [batch]
    images: Images  # uint8 [batch, H, W, C]

    @classmethod
    def of(cls, card: DecoderCard, memory: Memory) -> "Room":
        image = (card.image.height, card.image.width, card.image.channels)
        return cls(
            memory.on_host((card.batch_size, card.latent_dim), np.float32),
            memory.on_host((card.batch_size,), np.int64),
            memory.on_host((card.batch_size, *image), np.uint8),
        )


class BoundForward:
    """Passes over buffers of the device whose addresses never change, as a CUDA graph needs; for one thread.

    `passes` and `busy_s` count what was drawn since it was opened and the seconds that took, copies included.
    """

    def __init__(self, session: Any, card: DecoderCard, memory: Memory) -> None:
        self._session, self._memory = session, memory
        self._binding = session.io_binding()
        like = Room.of(card, memory)
        self._latents = self._bound(self._binding.bind_input, LATENT_INPUT, like.latents)
        self._images = self._bound(self._binding.bind_output, IMAGE_OUTPUT, like.images)
        self._label_ids = None
        if card.labels:
            self._label_ids = self._bound(self._binding.bind_input, LABEL_INPUT, like.label_ids)
        self.passes, self.busy_s = 0, 0.0
        self._warm_up(like)

    def run(self, room: Room) -> None:
        """One pass, from the room's latents and label ids to its images."""
        started = time.perf_counter()
        self._upload(self._latents, room.latents)
        if self._label_ids:
            self._upload(self._label_ids, room.label_ids)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        images, source = room.images, self._images.address
        self._memory.copy(target=images.ctypes.data, source=source, size_bytes=images.nbytes)
        self.busy_s += time.perf_counter() - started
        self.passes += 1

    def _upload(self, span: Span, array: npt.NDArray[Any]) -> None:
        source = array.ctypes.data
        self._memory.copy(target=span.address, source=source, size_bytes=array.nbytes)

    def _bound(self, bind: Callable[..., None], name: str, like: npt.NDArray[Any]) -> Span:
        span = self._memory.on_device(like.nbytes)
        bind(name, self._memory.device, 0, like.dtype.type, list(like.shape), span.address)
        return span

    def _warm_up(self, room: Room) -> None:
        """Also has the graph captured. Raises RuntimeError when a replay draws other images than the first pass."""
        # Some numbers between -1 and 1, the same in every process.
        room.latents[...] = np.sin(np.arange(room.latents.size)).reshape(room.latents.shape)
        room.label_ids[...] = 0
        self.run(room)
        first = room.images.copy()
        for _ in range(1, WARM_UP_PASSES):
            self.run(room)
        if not np.array_equal(first, room.images):
            raise RuntimeError("equal latents did not give equal images")


class QueuedForward:
    """A bound forward pass that many threads share: passes wait in a queue for the thread that owns the device."""

    def __init__(
        self, bound: BoundForward, card: DecoderCard, memory: Memory, thread: ThreadPoolExecutor
    ) -> None:
        self.bound, self._card, self._memory, self._thread = bound, card, memory, thread
        self._idle: list[Room] = []

    def draw(self, latents: Latents, label_ids: LabelIds) -> Images:
        with self.drawing() as draw:
            return draw(latents, label_ids).copy()

    @contextmanager
    def drawing(self) -> Iterator[Draw]:
        try:
            room = self._idle.pop()
        except IndexError:
            # Page-locking memory is work for the device too.
            room = self._thread.submit(Room.of, self._card, self._memory).result()
        try:
            yield lambda latents, label_ids: self._drawn(room, latents, label_ids)
        finally:
            self._idle.append(room)

    def _drawn(self, room: Room, latents: Latents, label_ids: LabelIds) -> Images:
        # By the caller, so that the device waits for nothing but its own copies.
        _fill(room.latents, latents)
        _fill(room.label_ids, label_ids)
        self._thread.submit(self.bound.run, room).result()
        return room.images


def _fill(buffer: npt.NDArray[Any], given: npt.NDArray[Any]) -> None:
    """Raises ValueError where `session.run` would: NumPy would stretch a shape, and a device reads any bytes."""
    if (buffer.shape, buffer.dtype) != (given.shape, given.dtype):
        raise ValueError(
            f"{given.dtype} {list(given.shape)} given, {buffer.dtype} {list(buffer.shape)} wanted"
        )
    buffer[...] = given


@lru_cache
def device_thread(device: str) -> ThreadPoolExecutor:
    """The one thread of this process that may talk to the device."""
    return ThreadPoolExecutor(1, thread_name_prefix=device)


def open_queued(
    open_session: Callable[[bool], Any], card: DecoderCard, memory: Memory
) -> QueuedForward:
    """A shared forward pass, with a CUDA graph where `open_session(True)` and the passes after it succeed.

    Raises what `open_session(False)` or a pass without a graph raises.
    """
    thread = device_thread(memory.device)
    bound = thread.submit(_open_bound, open_session, card, memory).result()
    return QueuedForward(bound, card, memory, thread)


def _open_bound(
    open_session: Callable[[bool], Any], card: DecoderCard, memory: Memory
) -> BoundForward:
    try:
        return BoundForward(open_session(True), card, memory)
    except StartRefused:
        raise
    except Exception as refused:  # ONNX Runtime raises its own classes for each kind of fault.
        bound = BoundForward(open_session(False), card, memory)
        # Told when it works without: otherwise it was not the graph that was refused.
        reason = str(refused).partition("\n")[0]
        log.warning("cuda_graph_refused", decoder=card.name, reason=reason)
        return bound
