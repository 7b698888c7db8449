"""Sixty-four bytes at a time: the few vector operations that Numba's Python has no word for.

Each is a line or two of LLVM's own portable language, which it turns into whatever the processor has (AVX-512, AVX2,
NEON). Numbers in memory are little-endian, as on every processor that ONNX Runtime has wheels for. None of them
checks bounds: callers leave `SLACK` bytes behind whatever they read or write.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Bytes that a read or a write may reach past the last byte meant.
SLACK = 128

_BYTE, _SHORT, _LONG, _BIT = ir.IntType(8), ir.IntType(16), ir.IntType(64), ir.IntType(1)
_BYTES, _SHORTS, _BITS = (ir.VectorType(kind, 64) for kind in (_BYTE, _SHORT, _BIT))


def _at(context: Any, builder: Any, kind: Any, array: Any, offset: Any, what: Any) -> Any:
    """Pointer to `array.data + offset`, offset in elements, as a pointer to `what`."""
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [offset]), what.as_pointer())


def _compressed(builder: Any, vector: Any, keep: Any) -> Any:
    """The bytes of `vector` whose bit is set in `keep`, moved together."""
    signature = ir.FunctionType(_BYTES, [_BYTES, _BITS, _BYTES])
    compress = cgutils.get_or_insert_function(
        builder.module, signature, "llvm.experimental.vector.compress.v64i8"
    )
    rest = ir.Constant(_BYTES, ir.Undefined)
    return builder.call(compress, [vector, builder.bitcast(keep, _BITS), rest])


@intrinsic
def load_8(_: Any, array: Any, offset: Any) -> Any:
    """The eight bytes `array[offset:offset + 8]` as one number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(
            _at(context, builder, signature.args[0], args[0], args[1], _LONG), align=1
        )

    return types.uint64(array, types.uint64), generate


@intrinsic
def store_8(_: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write `value` to `array[offset:offset + 8]`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _at(context, builder, signature.args[0], args[0], args[1], _LONG)
        builder.store(args[2], target, align=1)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64), generate


@intrinsic
def copy_64(_: Any, target: Any, target_offset: Any, source: Any, source_offset: Any) -> Any:
    """`target[to:to + 64] = source[from:from + 64]`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _at(context, builder, signature.args[0], args[0], args[1], _BYTES)
        source = _at(context, builder, signature.args[2], args[2], args[3], _BYTES)
        builder.store(builder.load(source, align=1), to, align=1)
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64), generate


@intrinsic
def repeats_64(_: Any, array: Any, offset: Any) -> Any:
    """Bit i is set where byte `offset + i` equals the byte before it. Reads from `offset - 1` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        here = _at(context, builder, signature.args[0], args[0], args[1], _BYTES)
        before = builder.sub(args[1], ir.Constant(_LONG, 1))
        previous = _at(context, builder, signature.args[0], args[0], before, _BYTES)
        same = builder.icmp_unsigned(
            "==", builder.load(here, align=1), builder.load(previous, align=1)
        )
        return builder.bitcast(same, _LONG)

    return types.uint64(array, types.uint64), generate


@intrinsic
def keep_bytes(_: Any, target: Any, target_offset: Any, source: Any, offset: Any, keep: Any) -> Any:
    """Of `source[offset:offset + 64]`, write those whose bit is set in `keep`, side by side. Writes 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _at(context, builder, signature.args[0], args[0], args[1], _BYTES)
        source = _at(context, builder, signature.args[2], args[2], args[3], _BYTES)
        kept = _compressed(builder, builder.load(source, align=1), args[4])
        builder.store(kept, to, align=1)
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64, types.uint64), generate


@intrinsic
def keep_positions(_: Any, target: Any, target_offset: Any, first: Any, keep: Any) -> Any:
    """Write `first + i` for every bit i set in `keep`, side by side, as uint16. Writes 64 of them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _at(context, builder, signature.args[0], args[0], args[1], _SHORTS)
        kept = _compressed(builder, ir.Constant(_BYTES, list(range(64))), args[3])
        first = builder.insert_element(
            ir.Constant(_SHORTS, ir.Undefined), builder.trunc(args[2], _SHORT), ir.IntType(32)(0)
        )
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
        base = builder.shuffle_vector(first, first, everywhere)
        positions = builder.add(builder.zext(kept, _SHORTS), base)
        builder.store(positions, to, align=1)
        return context.get_dummy_value()

    return types.void(target, types.uint64, types.uint64, types.uint64), generate


@intrinsic
def count_ones(_: Any, word: Any) -> Any:
    """How many bits of a uint64 are set."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate
