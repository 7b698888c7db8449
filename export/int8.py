"""Matrix products in integers, row by row, so that no sample sees its neighbours.

The usual dynamic quantisation (ONNX Runtime's `quantize_dynamic`) takes one scale from all rows of a
tensor. A sample's pixels then change with whoever shares its batch: the last, padded batch of
count=5 would draw sample 0 unlike count=500, and "a sample is a function of seed and index" would
be a lie. Here every row has a scale of its own, and sums of integers have no order to depend on:

    s = max |x_row| / 63,   q = round(x / s) + 64,   y = (q - 64) @ W_int8 * s * s_W + b

Activations take 7 bits, not 8: processors without VNNI add two products of uint8 and int8 in 16
bits and saturate (onnxruntime.ai/docs/performance/model-optimizations/quantization.html), which
2·127·127 = 32,258 cannot. Meant for CPUs: ONNX Runtime's CUDA provider multiplies int8 by int8 only.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from export.stored_weights import (
    Stored,
    Weight,
    is_transposed,
    keep_as_int8,
    output_axes,
    per_channel,
    put,
)

#: 7 bits around a zero of 64; where nothing is below zero, all of them above it.
_AROUND_ZERO, _ABOVE_ZERO = (64, 63), (0, 127)

#: Operators that yield nothing below zero: the bit of the sign goes into precision.
_NEVER_NEGATIVE = {"Relu", "Sigmoid", "Softmax"}

#: Keeps an all-zero row from a division by zero; 0 / s stays 0.
_SMALLEST_SCALE = 1e-12


def to_int8(model: ModelProto) -> int:
    """Multiply plain products in int8, keep all other weights in int8, in place; how many of both."""
    weights = {t.name: t for t in model.graph.initializer if t.name in output_axes(model)}
    plain = _plain_products(model, set(weights))
    never_negative = _outputs_of(model, _NEVER_NEGATIVE)
    tensors, nodes = list(model.graph.initializer), list[NodeProto]()
    for node in model.graph.node:
        if node.output[0] not in plain:
            nodes.append(node)
            continue
        weight = numpy_helper.to_array(weights[node.input[1]])
        columns = weight.T if is_transposed(node) else weight  # [inputs, outputs]
        more, product = _product(node, columns, signed=node.input[0] not in never_negative)
        tensors, nodes = tensors + more, nodes + product
    used = {name for node in nodes for name in node.input}
    put(model, [tensor for tensor in tensors if tensor.name in used], nodes)
    return len(plain) + keep_as_int8(model)


def _plain_products(model: ModelProto, weights: set[str]) -> set[str]:
    """Outputs of `x @ W` and `x @ W + b` with a two-dimensional x, whose rows stand for themselves."""
    inferred = shape_inference.infer_shapes(model).graph
    matrices = {
        value.name
        for value in (*inferred.input, *inferred.value_info)
        if len(value.type.tensor_type.shape.dim) == 2
    }
    return {
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights
        if node.input[0] in matrices and _is_unscaled(node)
    }


def _is_unscaled(node: NodeProto) -> bool:
    """Whether a Gemm is x @ W + b and no more."""
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    told = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return all(told.get(name, value) == value for name, value in plain.items())


def _outputs_of(model: ModelProto, operators: set[str]) -> set[str]:
    return {node.output[0] for node in model.graph.node if node.op_type in operators}


def _product(node: NodeProto, weight: Weight, *, signed: bool) -> Stored:
    """The tensors and nodes that stand for one product: float32 [B, K] -> float32 [B, N]."""
    x, y, at = node.input[0], node.output[0], f"{node.output[0]}/"
    zero, top = _AROUND_ZERO if signed else _ABOVE_ZERO
    short, scale = per_channel(weight, 1)  # int8 [K, N], float32 [1, N]
    tensors = {
        "weight": np.ascontiguousarray(short),
        "weight_scale": scale,
        "rows": np.array([1], np.int64),
        "top": np.float32(top),
        "smallest": np.float32(_SMALLEST_SCALE),
        "zero": np.uint8(zero),
    }
    make = helper.make_node
    nodes = [
        make("Abs", [x], [at + "abs"]),
        make("ReduceMax", [at + "abs", at + "rows"], [at + "largest"], keepdims=0),  # [B]
        make("Div", [at + "largest", at + "top"], [at + "s0"]),
        make("Max", [at + "s0", at + "smallest"], [at + "s"]),
        make("Shape", [at + "s"], [at + "batch"]),
        make("Expand", [at + "zero", at + "batch"], [at + "zeros"]),
        make("QuantizeLinear", [x, at + "s", at + "zeros"], [at + "q"], axis=0),  # uint8 [B, K]
        make("MatMulInteger", [at + "q", at + "weight", at + "zero"], [at + "sum"]),  # int32 [B, N]
        make("Cast", [at + "sum"], [at + "float"], to=TensorProto.FLOAT),
        make("Unsqueeze", [at + "s", at + "rows"], [at + "row_scale"]),  # [B, 1]
        make("Mul", [at + "float", at + "weight_scale"], [at + "per_row"]),
        make("Mul", [at + "per_row", at + "row_scale"], [at + "y"]),
        make("Add", [at + "y", node.input[2]], [y])
        if len(node.input) > 2
        else make("Identity", [at + "y"], [y]),
    ]
    return [numpy_helper.from_array(np.asarray(v), at + n) for n, v in tensors.items()], nodes
