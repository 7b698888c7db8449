"""Which operators a decoder may use: known ones, that give the same bytes for the same request.

Nothing of `com.microsoft` is allowed, although ONNX Runtime would run it: those are its optimiser's
own operators, without a standard that says what they compute, different from provider to provider;
and the quantised ones take one scale from the whole batch, so that a sample sees its neighbours.
"""

from collections import Counter

import onnx.defs
from onnx import ModelProto, NodeProto, helper, numpy_helper

from export.inspection.graph import STANDARD_DOMAINS, nodes, opset

_RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
}

#: They read text or files in memory; pixels of a latent need neither.
_NOT_FOR_IMAGES = {
    *("ImageDecoder", "StringConcat", "StringNormalizer", "StringSplit"),
    *("RegexFullMatch", "TfIdfVectorizer", "LabelEncoder"),
}


def operator_faults(model: ModelProto) -> list[str]:
    """Every kind of operator that may not stand in a decoder, with the way out."""
    found = nodes(model)
    standard = [node for node in found if node.domain in STANDARD_DOMAINS]
    return [
        *_foreign(found),
        *_opset(model),
        *_unknown(standard, opset(model)),
        *_random(standard),
        *_training(standard, model),
        *_odd(standard),
    ]


def _foreign(found: list[NodeProto]) -> list[str]:
    foreign = [f"{n.domain}.{n.op_type}" for n in found if n.domain not in STANDARD_DOMAINS]
    if not foreign:
        return []
    way = "export without ONNX Runtime's optimiser or quantiser"
    other = "export with standard operators"
    ours = all(name.startswith("com.microsoft") for name in foreign)
    return [f"operators outside ai.onnx: {_counted(foreign)}; {way if ours else other}"]


def _opset(model: ModelProto) -> list[str]:
    versions = [e.version for e in model.opset_import if e.domain in STANDARD_DOMAINS]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1:
        return [f"it names {len(versions)} versions of the standard operators (opset), not one"]
    if not 1 <= versions[0] <= newest:
        return [f"opset {versions[0]} is unknown here, where onnx ends at {newest}: export with 20"]
    return []


def _unknown(standard: list[NodeProto], version: int) -> list[str]:
    unknown = [node.op_type for node in standard if not _is_known(node.op_type, version)]
    return [f"opset {version} has no operators {_counted(unknown)}"] if unknown else []


def _is_known(operator: str, version: int) -> bool:
    try:
        return not onnx.defs.get_schema(operator, version, "").deprecated
    except onnx.defs.SchemaError:
        return False


def _random(standard: list[NodeProto]) -> list[str]:
    random = [node.op_type for node in standard if node.op_type in _RANDOM]
    if not random:
        return []
    return [
        f"random operators: {_counted(random)}; the same request must give the same bytes, so all "
        "chance comes in with the latent"
    ]


def _training(standard: list[NodeProto], model: ModelProto) -> list[str]:
    training = [node.op_type for node in standard if _is_training(node, model)]
    if not training:
        return []
    return [f"operators in training mode: {_counted(training)}; call eval() before the export"]


def _is_training(node: NodeProto, model: ModelProto) -> bool:
    if node.op_type == "BatchNormalization":
        told = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        return bool(told.get("training_mode", 0)) or len(node.output) > 1
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        return _constant(node.input[2], model) is not False
    return False


def _constant(name: str, model: ModelProto) -> bool | None:
    """The truth value that a name stands for in every run; None when it is computed."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return bool(numpy_helper.to_array(tensor).all())
    for node in nodes(model):
        if node.op_type == "Constant" and name in node.output and node.attribute[0].name == "value":
            return bool(numpy_helper.to_array(node.attribute[0].t).all())
    return None


def _odd(standard: list[NodeProto]) -> list[str]:
    odd = [node.op_type for node in standard if node.op_type in _NOT_FOR_IMAGES]
    return [f"operators with no place in a decoder: {_counted(odd)}"] if odd else []


def _counted(names: list[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in Counter(names).most_common(8))
