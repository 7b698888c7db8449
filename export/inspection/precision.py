"""In how many bits a graph keeps its weights, read from the weights."""

from collections import Counter
from math import prod

from onnx import ModelProto, TensorProto

from export.inspection.finding import Draft, Finding, ok, warning
from export.inspection.graph import messages
from service.contract.card import Precision

_KINDS: dict[int, Precision] = {
    TensorProto.FLOAT16: "fp16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
}


def precision_of(model: ModelProto) -> Precision:
    """What most numbers of the file are kept in."""
    counted = Counter[Precision]()
    for part in messages(model):
        if isinstance(part, TensorProto):
            counted[_KINDS.get(part.data_type, "fp32")] += prod(part.dims)
    return max(counted, key=lambda kind: counted[kind], default="fp32")


def precision_finding(model: ModelProto, draft: Draft) -> Finding:
    """Whether the card tells its readers what the file shows."""
    found = precision_of(model)
    told = draft.get("precision", found)
    if told != found:
        return warning("precision", f"the card says {told}, most weights are {found}")
    return ok("precision", found)
