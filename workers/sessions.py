"""Warm decoders, by digest: read from storage once, shared by all slots of the process."""

import threading
from collections import OrderedDict

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused, ObjectMissing
from service.contract.value import sha256_hex
from service.lifecycle.decoders import read_card
from workers.decoder import Decoder

#: A fleet serves few decoders at once; each session holds its weights in memory.
MAX_WARM = 4


class Sessions:
    """The most recently used decoders, loaded under a lock so that two slots never load one twice."""

    def __init__(self, storage: Storage, *, device: str, threads: int) -> None:
        self._storage, self._device, self._threads = storage, device, threads
        self._warm: OrderedDict[str, Decoder] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, digest: str) -> Decoder:
        """The decoder, checked against its card. Raises DecoderRefused, UnknownDecoder, StorageUnavailable."""
        with self._lock:
            decoder = self._warm.get(digest) or self._load(name, digest)
            self._warm[digest] = decoder
            self._warm.move_to_end(digest)
            while len(self._warm) > MAX_WARM:
                self._warm.popitem(last=False)
            return decoder

    def _load(self, name: str, digest: str) -> Decoder:
        card = read_card(self._storage, name, digest)
        try:
            onnx = self._read(layout.decoder_onnx(name, digest), card)
        except ObjectMissing as error:
            raise DecoderRefused(
                f"decoder {name}@{digest[:12]}… has a card and no decoder.onnx"
            ) from error
        return Decoder(onnx, card, device=self._device, threads=self._threads)

    def _read(self, key: str, card: DecoderCard) -> bytes:
        # Before the first byte: no file larger than its card says comes into memory.
        size_bytes = self._storage.head(key).size_bytes
        if size_bytes != card.size_bytes:
            raise DecoderRefused(
                f"decoder {card.name} has {size_bytes} bytes, its card says {card.size_bytes}"
            )
        onnx = self._storage.get(key)
        # A byte that flipped on its way fails no job; one that flipped in storage is read again, and refused.
        return onnx if sha256_hex(onnx) == card.digest else self._storage.get(key)
