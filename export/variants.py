"""One decoder in fewer bits: weights kept in fp16, or matrix products in int8; same inputs, same image."""

import onnx
from onnx import ModelProto

from export.int8 import to_int8
from export.stored_weights import keep_as_fp16
from service.contract.card import Precision
from service.contract.errors import ExportFailed

#: The first opset in which reductions take their axes as an input (onnx's Changelog.md).
_OLDEST_OPSET = 18


def variant(decoder: bytes, precision: Precision) -> bytes:
    """A decoder of fp32 in another precision: same bytes in, same bytes out.

    `fp16` keeps matrices and kernels in half the bytes and computes in fp32: ONNX Runtime widens
    them once, when it loads. Computing in fp16 as well was as fast on a CPU, which has no kernels
    for it, and moved more pixels; on a GPU neither was measured. `int8` is a quarter of the bytes
    and multiplies matrices in integers, see `export.int8`. Raises ExportFailed when the graph has
    nothing to convert, or a weight beyond the range of fp16.
    """
    if precision == "fp32":
        return decoder
    model = onnx.load_from_string(decoder)
    _check_opset(model)
    converted = {"fp16": keep_as_fp16, "int8": to_int8}[precision](model)
    if not converted:
        raise ExportFailed(f"the graph holds no float32 matrix that {precision} could shorten")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _check_opset(model: ModelProto) -> None:
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < _OLDEST_OPSET:
        raise ExportFailed(f"opset {opset} is too old for a variant: export with {_OLDEST_OPSET}")
