"""The decoder as users of ONNX Runtime run it: a session, in batches, random latents."""

from errand import Errand

# isort: split
import numpy as np
import numpy.typing as npt
import onnxruntime


class Decoder:
    """Draws images of the errand's label; `threads=0` is ONNX Runtime's default, all cores."""

    def __init__(self, errand: Errand, *, threads: int = 0) -> None:
        card = errand.card
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(errand.decoder / "decoder.onnx", options)
        # The batch of the file is fixed: a last batch is decoded whole and cut.
        self._batch, self._dim = card["batch_size"], card["latent_dim"]
        self._labels = {}
        if card["labels"]:
            self._labels = {"label": np.full(self._batch, errand.label_id, np.int64)}

    def draw(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Images of samples `start` … `stop` - 1: uint8 [n, H, W], or [n, H, W, 3] in colour."""
        generator = np.random.default_rng([0, start])
        batches = [self._draw_batch(generator) for _ in range(start, stop, self._batch)]
        images = np.concatenate(batches)[: stop - start]
        return images[..., 0] if images.shape[-1] == 1 else images

    def _draw_batch(self, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
        latents = generator.standard_normal((self._batch, self._dim), np.float32)
        (images,) = self._session.run(["image"], {"latent": latents, **self._labels})
        return images
