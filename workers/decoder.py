"""A decoder in memory: checked against its card, then run on the card's batch and on no other."""

import os
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from service.contract.card import IMAGE_OUTPUT, LABEL_INPUT, LATENT_INPUT, DecoderCard
from service.contract.errors import DecoderRefused, StartRefused
from service.contract.value import sha256_hex
from workers.device import PROVIDERS, device_class, provider_options
from workers.forward import Forward, PlainForward, open_queued
from workers.forward import Images as Images
from workers.forward import LabelIds as LabelIds
from workers.latents import Latents
from workers.memory import CudaMemory

# Since 1.29 ONNX Runtime reports its use to Microsoft and keeps an id of the machine in the home folder,
# unless this is set before it is loaded (onnxruntime#27379). Who wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

Number = TypeVar("Number", np.float32, np.int64)

#: Of ONNX Runtime's session options (onnxruntime_session_options_config_keys.h).
_EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
#: Nothing can lie below a device, so no file of a worker is ever read as weights.
_NO_FOLDER = "/dev/null/decoders-are-one-file"


class Decoder:
    """`(latents, label) -> images`, deterministic because every forward pass has the card's batch shape.

    Raises DecoderRefused when the file is not the card's, is not ONNX, has another signature, or yields
    another shape; StartRefused when ONNX Runtime did not give the asked device.
    """

    def __init__(
        self, onnx: bytes, card: DecoderCard, *, device: str = "cpu", threads: int = 1
    ) -> None:
        _check_digest(onnx, card)
        self.card = card
        self.forward = _open_forward(onnx, card, device=device, threads=threads)
        self._check_image()

    def decode(self, latents: Latents, label: str | LabelIds | None) -> Images:
        """Images of consecutive samples that start on a batch boundary.

        `latents` float32 [n, latent_dim]; one label for all, or the ids of each, int64 [n]; returns uint8 [n, H, W, C].
        """
        image = self.card.image
        images = np.empty((len(latents), image.height, image.width, image.channels), np.uint8)
        start = 0
        for drawn in self.batches(latents, label):
            images[start : start + len(drawn)] = drawn
            start += len(drawn)
        return images

    def batches(self, latents: Latents, label: str | LabelIds | None) -> Iterator[Images]:
        """The same, a forward pass at a time: each is to be used before anything else is asked of the iterator."""
        batch, label_ids = self.card.batch_size, self._label_ids(label, len(latents))
        with self.forward.drawing() as draw:
            for start in range(0, len(latents), batch):
                rows, ids = latents[start : start + batch], label_ids[start : start + batch]
                yield draw(_padded(rows, batch), _padded(ids, batch))[: len(rows)]

    def draw(self, latents: Latents, label_ids: LabelIds) -> Images:
        """One forward pass: float32 [batch, latent_dim] and int64 [batch] -> uint8 [batch, H, W, C].

        An unconditional decoder takes no notice of the ids.
        """
        return self.forward.draw(latents, label_ids)

    def _label_ids(self, label: str | LabelIds | None, samples: int) -> LabelIds:
        """int64 [samples]; zeros where the decoder has no labels."""
        if not self.card.labels:
            return np.zeros(samples, np.int64)
        # A decoder with labels is always told one.
        assert label is not None
        if not isinstance(label, str):
            return label
        return np.full(samples, self.card.label_id(label), np.int64)

    def _check_image(self) -> None:
        # Also the warm-up: the first run allocates and tunes.
        card = self.card
        label = card.labels[0] if card.labels else None
        zeros = np.zeros((card.batch_size, card.latent_dim), np.float32)
        images = self.draw(zeros, self._label_ids(label, card.batch_size))
        wanted = (card.batch_size, card.image.height, card.image.width, card.image.channels)
        if images.shape != wanted or images.dtype != np.uint8:
            raise DecoderRefused(
                f"decoder {card.name} yields {images.dtype} {list(images.shape)}, its card says uint8 {list(wanted)}"
            )


def _padded(rows: npt.NDArray[Number], batch: int) -> npt.NDArray[Number]:
    """A whole batch of latents or of label ids."""
    if len(rows) == batch:
        return rows
    full = np.zeros((batch, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full


def _check_digest(onnx: bytes, card: DecoderCard) -> None:
    digest = sha256_hex(onnx)
    if digest != card.digest:
        raise DecoderRefused(
            f"decoder {card.name} has sha256 {digest[:12]}…, its card says {card.digest[:12]}…"
        )


def _open_forward(onnx: bytes, card: DecoderCard, *, device: str, threads: int) -> Forward:
    check_onnxruntime(device)
    if device == "cpu":
        return PlainForward(open_session(onnx, card, device=device, threads=threads), card)
    try:
        return open_queued(
            lambda graph: open_session(onnx, card, device=device, threads=threads, graph=graph),
            *(card, CudaMemory(onnxruntime.cuda_version)),
        )
    except RuntimeError as error:
        raise DecoderRefused(
            f"decoder {card.name} does not run on {device}: {_first_line(error)}"
        ) from error


def open_session(
    onnx: bytes, card: DecoderCard, *, device: str = "cpu", threads: int = 1, graph: bool = False
) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime on that device and no other, whose signature is the card's.

    `graph` asks for a CUDA graph. Raises DecoderRefused and StartRefused like Decoder.
    """
    options = session_options(threads)
    # Of two ways to add numbers up, the one that gives the same bits each time; the CPU provider has but one.
    options.use_deterministic_compute = device != "cpu"
    provider = (PROVIDERS[device], provider_options(device, graph=graph))
    try:
        # Left to itself, ONNX Runtime prints what went wrong and goes on with the CPU.
        session = onnxruntime.InferenceSession(
            onnx, options, providers=[provider], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises its own classes for each kind of bad file.
        raise DecoderRefused(
            f"decoder {card.name} is not an ONNX file that loads: {_first_line(error)}"
        ) from error
    # A provider that does not load is left out without an error; only the session tells.
    if session.get_providers()[0] != PROVIDERS[device]:
        raise StartRefused(
            f"ONNX Runtime gave {session.get_providers()[0]} where LATENTMILL_DEVICE={device} was asked: "
            "check the driver and that the `gpu` extra is installed"
        )
    _check_signature(session, card)
    return session


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """How every decoder is loaded: quiet, on so many threads, from its own bytes and no other file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Faults are raised; the library's own lines would stand beside ours.
    options.log_severity_level = 4
    # Idle threads must not spin: they would steal the core from the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph loaded from bytes reads its external data from the working folder (onnxruntime#27430),
    # and bytes may also be taken for the ORT format, which nobody checked.
    options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, _NO_FOLDER)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


@lru_cache
def profile_of(device: str) -> dict[str, str]:
    """The parts of a profile that this process's ONNX Runtime and machine decide."""
    return {
        "onnxruntime": onnxruntime.__version__,
        "provider": PROVIDERS[device],
        "device": device_class(device),
    }


def check_onnxruntime(device: str) -> None:
    """Refuse an environment with both onnxruntime wheels; load CUDA's libraries where they are wanted."""
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(both) == 2:
        raise StartRefused(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "uninstall both, then install one"
        )
    if device == "cuda":
        _prepare_cuda()


def _prepare_cuda() -> None:
    """Not yet run on a GPU. Raises StartRefused where ONNX Runtime was built without CUDA."""
    # cuDNN's graphs, which ONNX Runtime uses for convolutions, know of no other switch (onnxruntime#19470).
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
        raise StartRefused(
            "LATENTMILL_DEVICE=cuda was asked and this ONNX Runtime has no CUDAExecutionProvider: "
            "install the `gpu` extra in place of `cpu`"
        )
    onnxruntime.preload_dlls()


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _check_signature(session: onnxruntime.InferenceSession, card: DecoderCard) -> None:
    inputs = {node.name: (node.type, list(node.shape)) for node in session.get_inputs()}
    outputs = {node.name: (node.type, list(node.shape)) for node in session.get_outputs()}
    image = card.image
    wanted_inputs = {LATENT_INPUT: ("tensor(float)", [card.batch_size, card.latent_dim])}
    if card.labels:
        wanted_inputs[LABEL_INPUT] = ("tensor(int64)", [card.batch_size])
    shape = [card.batch_size, image.height, image.width, image.channels]
    wanted_outputs = {IMAGE_OUTPUT: ("tensor(uint8)", shape)}
    if not (_agrees(inputs, wanted_inputs) and _agrees(outputs, wanted_outputs)):
        raise DecoderRefused(
            f"decoder {card.name} has {inputs} -> {outputs}, its card asks for {wanted_inputs} -> {wanted_outputs}"
        )


def _agrees(
    found: dict[str, tuple[str, list[Any]]], wanted: dict[str, tuple[str, list[int]]]
) -> bool:
    """Names and types are equal; a dynamic dimension (a name) fits any number."""
    if {name: kind for name, (kind, _) in found.items()} != {
        name: kind for name, (kind, _) in wanted.items()
    }:
        return False
    return all(_fits(found[name][1], wanted[name][1]) for name in wanted)


def _fits(found: list[Any], wanted: list[int]) -> bool:
    return len(found) == len(wanted) and all(
        not isinstance(have, int) or have == want for have, want in zip(found, wanted, strict=True)
    )
