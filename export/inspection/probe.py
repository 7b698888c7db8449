"""Numbers that are none, inside a graph whose uint8 image would hide them."""

from dataclasses import dataclass

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, shape_inference

from service.contract.card import IMAGE_OUTPUT

#: Kinds of float that ONNX Runtime adds and multiplies on every device.
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)

#: Operators through which an infinity or NaN becomes a pixel like any other.
_PASSES = {
    *("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"),
    *("Clip", "Round", "Floor", "Ceil", "Min", "Max", "Relu", "Abs"),
    *("Mul", "Add", "Sub", "Div", "Neg"),
}


@dataclass(frozen=True)
class Point:
    """A float tensor of the graph, watched by the scalar `output`: 0 while every number is finite."""

    output: str
    tensor: str
    operator: str
    reaches_pixels: bool


def probed(model: ModelProto) -> tuple[bytes, tuple[Point, ...]]:
    """The graph with a watch on every float tensor outside subgraphs, in the order they come about.

    A watch is the sum of x·0, which is 0 for finite numbers and NaN for NaN and infinity alike: one
    scalar each, so that no layer need be kept for a look at it.
    """
    model = shape_inference.infer_shapes(model)
    points = _points(model)
    kinds = _kinds(model)
    for kind in sorted({kinds[point.tensor] for point in points}):
        model.graph.initializer.append(helper.make_tensor(_zero(kind), kind, [], [0.0]))
    for point in points:
        kind = kinds[point.tensor]
        product = f"{point.output}/product"
        model.graph.node.append(helper.make_node("Mul", [point.tensor, _zero(kind)], [product]))
        model.graph.node.append(
            helper.make_node("ReduceSum", [product], [point.output], keepdims=0)
        )
        model.graph.output.append(helper.make_tensor_value_info(point.output, kind, []))
    return bytes(model.SerializeToString()), points


def _points(model: ModelProto) -> tuple[Point, ...]:
    kinds, seen_as_pixels = _kinds(model), _reaching_pixels(model)
    watched = [
        (output, node.op_type)
        for node in model.graph.node
        for output in node.output
        if kinds.get(output) in _FLOATS
    ]
    return tuple(
        Point(f"latentmill/watch/{k}", tensor, operator, tensor in seen_as_pixels)
        for k, (tensor, operator) in enumerate(watched)
    )


def _kinds(model: ModelProto) -> dict[str, int]:
    return {
        value.name: value.type.tensor_type.elem_type
        for value in (*model.graph.value_info, *model.graph.output)
    }


def _reaching_pixels(model: ModelProto) -> set[str]:
    """The tensors whose numbers become pixels with nothing between that absorbs an infinity."""
    makers: dict[str, NodeProto] = {o: node for node in model.graph.node for o in node.output}
    reached, ahead = set[str](), [IMAGE_OUTPUT]
    while ahead:
        tensor = ahead.pop()
        if tensor in reached:
            continue
        reached.add(tensor)
        maker = makers.get(tensor)
        if maker is not None and maker.op_type in _PASSES:
            ahead += maker.input
    return reached


def _zero(kind: int) -> str:
    return f"latentmill/zero/{onnx.TensorProto.DataType.Name(kind)}"
