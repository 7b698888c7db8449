"""SHA-256 of two streams at once (FIPS 180-4), on x86 processors that have instructions for it.

A round waits for the one before it, so one stream leaves the instruction idle half of the time: two side by side take
two thirds of the time of one after the other. What one stream needs alone the standard library does as fast.
"""

from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from workers.kernel.processor import has_feature

Bytes = npt.NDArray[np.uint8]
State = npt.NDArray[np.uint32]

BLOCK = 64

_LONG, _INT = ir.IntType(64), ir.IntType(32)
_FOUR = ir.VectorType(_INT, 4)
#: The instructions want the eight words as F E B A and H G D C.
ORDER = (5, 4, 1, 0, 7, 6, 3, 2)


def has_sha256() -> bool:
    """Whether this processor has x86's SHA instructions."""
    return has_feature("sha")


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _cube_root(number: int) -> int:
    """The largest integer whose cube is at most `number`."""
    root = round(number ** (1 / 3))
    while root**3 > number:
        root -= 1
    while (root + 1) ** 3 <= number:
        root += 1
    return root


#: The first 32 bits behind the point of 64 primes' cube roots, and of 8 primes' square roots (4.2.2, 5.3.3).
_ROUND = [_cube_root(prime << 96) & 0xFFFFFFFF for prime in _primes(64)]
_START = [isqrt(prime << 64) & 0xFFFFFFFF for prime in _primes(8)]


def new_state() -> State:
    """The state before the first block, in the instructions' order."""
    return np.array([_START[word] for word in ORDER], np.uint32)


def words(state: State) -> list[int]:
    """The eight words of a state in the standard's order."""
    return [int(state[ORDER.index(word)]) for word in range(8)]


def _constant(*numbers: int) -> Any:
    return ir.Constant(ir.VectorType(_INT, len(numbers)), list(numbers))


def _call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_FOUR, [_FOUR] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _message(builder: Any, block: Any) -> list[Any]:
    """The sixteen words of one block, four a vector."""
    quarters = (cgutils.pointer_add(builder, block, 16 * quarter) for quarter in range(4))
    loaded = [builder.load(builder.bitcast(at, _FOUR.as_pointer()), align=1) for at in quarters]
    return [_call(builder, "llvm.bswap.v4i32", words) for words in loaded]


def _next_words(builder: Any, message: list[Any]) -> Any:
    """Four more words of the schedule from the last sixteen (6.2.2, step 1)."""
    partial = _call(builder, "llvm.x86.sha256msg1", message[0], message[1])
    middle = builder.shuffle_vector(message[2], message[3], _constant(1, 2, 3, 4))
    return _call(builder, "llvm.x86.sha256msg2", builder.add(partial, middle), message[3])


def _four_rounds(builder: Any, number: int, low: Any, high: Any, words: Any) -> tuple[Any, Any]:
    """Rounds `number` to `number` + 3."""
    given = builder.add(words, _constant(*_ROUND[number : number + 4]))
    high = _call(builder, "llvm.x86.sha256rnds2", high, low, given)
    rest = builder.shuffle_vector(given, given, _constant(2, 3, 0, 0))
    return _call(builder, "llvm.x86.sha256rnds2", low, high, rest), high


def _blocks(
    builder: Any, states: list[tuple[Any, Any]], blocks: list[Any]
) -> list[tuple[Any, Any]]:
    """The states after one block each; the streams' rounds alternate."""
    messages = [_message(builder, block) for block in blocks]
    now = list(states)
    for number in range(0, 64, 4):
        for stream, message in enumerate(messages):
            now[stream] = _four_rounds(builder, number, *now[stream], message[0])
            following = _next_words(builder, message) if number < 48 else message[0]
            messages[stream] = [*message[1:], following]
    return [
        (builder.add(low, low_0), builder.add(high, high_0))
        for (low, high), (low_0, high_0) in zip(now, states, strict=True)
    ]


class _Stream:
    """One stream inside the generated code: where its state and its data lie."""

    def __init__(
        self, context: Any, builder: Any, kinds: Any, state: Any, data: Any, start: Any
    ) -> None:
        words = context.make_array(kinds[0])(context, builder, state).data
        self._home = builder.bitcast(words, _FOUR.as_pointer())
        self.data = builder.gep(context.make_array(kinds[1])(context, builder, data).data, [start])
        self._halves = [
            cgutils.alloca_once_value(builder, builder.load(self._half(builder, half), align=4))
            for half in range(2)
        ]

    def _half(self, builder: Any, half: int) -> Any:
        return builder.gep(self._home, [_LONG(half)])

    def load(self, builder: Any) -> tuple[Any, Any]:
        low, high = (builder.load(half) for half in self._halves)
        return low, high

    def store(self, builder: Any, state: tuple[Any, Any]) -> None:
        for half, words in zip(self._halves, state, strict=True):
            builder.store(words, half)

    def put_back(self, builder: Any) -> None:
        for number, half in enumerate(self._halves):
            builder.store(builder.load(half), self._half(builder, number), align=4)


def _generate(context: Any, builder: Any, streams: list[_Stream], count: Any) -> Any:
    with cgutils.for_range(builder, count) as loop:
        offset = builder.mul(loop.index, _LONG(BLOCK))
        blocks = [builder.gep(stream.data, [offset]) for stream in streams]
        after = _blocks(builder, [stream.load(builder) for stream in streams], blocks)
        for stream, state in zip(streams, after, strict=True):
            stream.store(builder, state)
    for stream in streams:
        stream.put_back(builder)
    return context.get_dummy_value()


@intrinsic
def _one(_: Any, state: Any, data: Any, start: Any, count: Any) -> Any:
    """`count` blocks from `data[start]` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        stream = _Stream(context, builder, signature.args[:2], *args[:3])
        return _generate(context, builder, [stream], args[3])

    return types.void(state, data, types.int64, types.int64), generate


@intrinsic
def _two(
    _: Any, state: Any, data: Any, start: Any, state_2: Any, data_2: Any, start_2: Any, count: Any
) -> Any:
    """`count` blocks of either stream."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        streams = [
            _Stream(context, builder, signature.args[at : at + 2], *args[at : at + 3])
            for at in (0, 3)
        ]
        return _generate(context, builder, streams, args[6])

    kinds = (state, data, types.int64, state_2, data_2, types.int64, types.int64)
    return types.void(*kinds), generate


@njit(nogil=True, cache=True)
def one_stream(state: State, data: Bytes, start: int, count: int) -> None:
    """`count` blocks of `data` from `start` on."""
    _one(state, data, start, count)


@njit(nogil=True, cache=True)
def two_streams(
    state: State,
    data: Bytes,
    start: int,
    blocks: int,
    state_2: State,
    data_2: Bytes,
    start_2: int,
    blocks_2: int,
) -> None:
    """`blocks` of one stream and `blocks_2` of the other: side by side as far as both go."""
    both = min(blocks, blocks_2)
    _two(state, data, start, state_2, data_2, start_2, both)
    _one(state, data, start + BLOCK * both, blocks - both)
    _one(state_2, data_2, start_2 + BLOCK * both, blocks_2 - both)
