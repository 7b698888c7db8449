"""What a simulated worker makes shards with: virtual seconds instead of decoding, bytes that follow from the key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.contract import layout
from service.contract.errors import DecoderRefused
from service.contract.manifest import Profile, ShardRecord
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from tests.model.plan import HOPELESS, LARGE, POISON
from tests.model.stage import Killed, Stage
from workers.make import Made

_PROFILE = Profile(decoder="a" * 64, onnxruntime="1", provider="CPU", device="x", encoder="e")


def content(key: str) -> bytes:
    """The only right bytes of a shard."""
    return f"the shard {key}".encode()


def record(key: str, samples: int) -> ShardRecord:
    data = content(key)
    return ShardRecord(
        samples=samples,
        size_bytes=len(data),
        sha256=sha256_hex(data),
        images_root=sha256_hex(key.encode()),
        profile=_PROFILE,
    )


class Nothing:
    """Stands for decoders, buffers and cores: none of them is needed, none of them is ever short."""

    def get(self, *_: object) -> None:
        return None

    @contextmanager
    def one(self, *, small: bool = False, keep: Callable[[], None] = lambda: None) -> Iterator:
        yield keep


def maker(stage: Stage, made: Callable[[str], None]) -> Callable[..., Made]:
    """In the place of `make_shard`: takes its time in two or three batches. `made` hears of each."""

    def make(
        decoder: object,
        request: ResolvedRequest,
        shard: Shard,
        body: object,
        *,
        device: str,
        keep: Callable[[], None] = lambda: None,
    ) -> Made:
        if request.seed == HOPELESS:
            raise DecoderRefused("its bytes are not its card's")
        key = layout.shard_of(request.recipe, shard)
        for _ in range(stage.rng.randint(1, 3)):
            stage.yields(f"decode {shard.index}", for_ms=stage.rng.randint(50, 4000))
            if request.seed == POISON:
                stage.tell("the shard kills its worker")
                raise Killed
            keep()
        if request.seed == LARGE:
            raise MemoryError
        made(key)
        return Made(memoryview(content(key)), record(key, shard.samples))

    return make
