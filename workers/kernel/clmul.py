"""CRC-32 by carry-less multiplication, where an x86 processor has it (V. Gopal et al., "Fast CRC computation for
generic polynomials using PCLMULQDQ instruction", Intel 2009).

Sixteen bytes are a polynomial of degree 127; what they leave sixteen bytes later is their two halves times constants.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from workers.kernel.processor import has_feature

_LONG = ir.IntType(64)
_PAIR = ir.VectorType(_LONG, 2)
#: x to the 128 + 32 and to the 128 - 32, modulo CRC-32's polynomial, bits reflected (the paper's k3 and k4).
_CONSTANTS = ir.Constant(_PAIR, [0x1751997D0, 0x0CCAA009E])


def has_clmul() -> bool:
    """Whether this processor multiplies without carries by x86's instruction."""
    return has_feature("pclmul")


@intrinsic
def fold(_: Any, data: Any, start: Any, blocks: Any, state: Any) -> Any:
    """`blocks` (at least one) times sixteen bytes from `data[start]` on, after `state`: as sixteen bytes, two numbers.

    Taken from the state 0, these leave the state that all of the bytes leave.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.gep(
            context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]]
        )
        zero = ir.Constant(_PAIR, [0, 0])
        begun = builder.insert_element(zero, args[3], ir.IntType(32)(0))
        held = cgutils.alloca_once_value(builder, builder.xor(begun, _load(builder, first)))
        with cgutils.for_range(builder, builder.sub(args[2], _LONG(1))) as loop:
            offset = builder.shl(builder.add(loop.index, _LONG(1)), _LONG(4))
            following = _load(builder, builder.gep(first, [offset]))
            builder.store(builder.xor(_folded(builder, builder.load(held)), following), held)
        result = builder.load(held)
        halves = [builder.extract_element(result, ir.IntType(32)(half)) for half in range(2)]
        return context.make_tuple(builder, signature.return_type, halves)

    two = types.UniTuple(types.uint64, 2)
    return two(data, types.uint64, types.uint64, types.uint64), generate


def _load(builder: Any, pointer: Any) -> Any:
    return builder.load(builder.bitcast(pointer, _PAIR.as_pointer()), align=1)


def _folded(builder: Any, held: Any) -> Any:
    kind = ir.FunctionType(_PAIR, [_PAIR, _PAIR, ir.IntType(8)])
    multiply = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.pclmulqdq")
    low, high = (
        builder.call(multiply, [held, _CONSTANTS, ir.IntType(8)(which)]) for which in (0x00, 0x11)
    )
    return builder.xor(low, high)
