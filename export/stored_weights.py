"""Weights kept in fewer bits than they are computed in; ONNX Runtime widens them once, when it loads."""

from collections.abc import Callable
from math import prod

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from service.contract.errors import ExportFailed

#: Smaller tensors are constants of the formula rather than weights, and hardly count in the file.
_FEWEST = 256

Weight = npt.NDArray[np.float32]

#: A tensor in fewer bits, and the nodes that make the float32 tensor of the same name of it.
Stored = tuple[list[TensorProto], list[NodeProto]]

#: Which axis of input 1 counts the outputs: those weights share a scale with nobody else.
OUTPUT_AXIS = {"MatMul": -1, "Gemm": 1, "Conv": 0, "ConvTranspose": 1}


def keep_as_fp16(model: ModelProto) -> int:
    """Halve every float32 matrix and kernel in place; how many. Raises ExportFailed beyond 65504."""
    names = [tensor.name for tensor in model.graph.initializer if _is_weight(tensor)]
    replace_weights(model, names, _as_fp16)
    return len(names)


def keep_as_int8(model: ModelProto) -> int:
    """Quarter the matrices and kernels that products and convolutions use, in place; how many."""
    axes = output_axes(model)
    replace_weights(model, list(axes), lambda name, weight: _as_int8(name, weight, axes[name]))
    return len(axes)


def output_axes(model: ModelProto) -> dict[str, int]:
    """{name of a float32 weight: its axis of outputs} for all products and convolutions."""
    weights = {tensor.name for tensor in model.graph.initializer if _is_weight(tensor)}
    return {
        node.input[1]: 0 if is_transposed(node) else OUTPUT_AXIS[node.op_type]
        for node in model.graph.node
        if node.op_type in OUTPUT_AXIS and node.input[1] in weights
    }


def is_transposed(node: NodeProto) -> bool:
    """Whether a Gemm takes its weight as [outputs, inputs], as torch does."""
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def per_channel(weight: Weight, axis: int) -> tuple[npt.NDArray[np.int8], Weight]:
    """`(int8, scale)` with `weight ≈ int8 * scale`, one scale per index of `axis`.

    Symmetric, so that zero stays zero (Jacob et al. 2018, arXiv 1712.05877, without the offset).
    """
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def replace_weights(
    model: ModelProto, names: list[str], stored: Callable[[str, Weight], Stored]
) -> None:
    """Put stored tensors in place of initializers, and the nodes that widen them before all others."""
    tensors, nodes = [], []
    for tensor in model.graph.initializer:
        if tensor.name not in names:
            tensors.append(tensor)
            continue
        kept, widened = stored(tensor.name, numpy_helper.to_array(tensor))
        tensors += kept
        nodes += widened
    put(model, tensors, [*nodes, *model.graph.node])


def put(model: ModelProto, tensors: list[TensorProto], nodes: list[NodeProto]) -> None:
    """Give a graph these initializers and nodes, and no others."""
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(tensors)
    model.graph.node.extend(nodes)


def _is_weight(tensor: TensorProto) -> bool:
    shape = tuple(tensor.dims)
    return tensor.data_type == TensorProto.FLOAT and len(shape) >= 2 and prod(shape) >= _FEWEST


def _as_fp16(name: str, weight: Weight) -> Stored:
    with np.errstate(over="ignore"):  # asked for in the next line
        half = weight.astype(np.float16)
    if not np.isfinite(half).all():
        raise ExportFailed(f"{name} holds numbers beyond the range of fp16, ±65504")
    widen = helper.make_node("Cast", [f"{name}/fp16"], [name], to=TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}/fp16")], [widen]


def _as_int8(name: str, weight: Weight, axis: int) -> Stored:
    # Not DequantizeLinear: ONNX Runtime keeps that for every run, and folds these two at load.
    short, scale = per_channel(weight, axis)
    tensors = [
        numpy_helper.from_array(short, f"{name}/int8"),
        numpy_helper.from_array(scale, f"{name}/scale"),
    ]
    cast = helper.make_node("Cast", [f"{name}/int8"], [f"{name}/cast"], to=TensorProto.FLOAT)
    return tensors, [cast, helper.make_node("Mul", [f"{name}/cast", f"{name}/scale"], [name])]
