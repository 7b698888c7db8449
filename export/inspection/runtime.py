"""Whether the installed ONNX Runtime reads a file's format, asked without the file."""

import onnxruntime
from onnx import ModelProto, TensorProto, helper

from export.inspection.graph import opset
from workers.decoder import session_options


def runtime_faults(model: ModelProto) -> list[str]:
    """An empty graph of the same IR and opset is loaded in the file's place."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "", value[:1], value[1:]
    )
    stamp = helper.make_opsetid("", opset(model))
    same = helper.make_model(graph, ir_version=model.ir_version, opset_imports=[stamp])
    try:
        onnxruntime.InferenceSession(
            same.SerializeToString(), session_options(1), providers=["CPUExecutionProvider"]
        )
    except Exception:  # ONNX Runtime raises its own classes for each kind of fault.
        return [
            f"ONNX Runtime {onnxruntime.__version__} does not read IR {model.ir_version} with opset "
            f"{opset(model)}: export with opset 20"
        ]
    return []
