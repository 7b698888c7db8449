"""An ONNX file as a tree of messages, read and walked and never run."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import onnx
import onnx.inliner
from onnx import ModelProto, NodeProto, TensorProto

from service.contract.errors import DecoderRefused

#: The operators that every ONNX implementation knows; both names mean the same.
STANDARD_DOMAINS = {"", "ai.onnx"}


def parse(file: bytes) -> ModelProto:
    """The file as a message. Raises DecoderRefused for bytes that are no ONNX file."""
    try:
        model = onnx.load_from_string(file)
    except Exception as error:  # protobuf's own class, of a library that onnx brings along.
        raise DecoderRefused("the bytes are not an ONNX file") from error
    if not model.graph.node:
        raise DecoderRefused("the bytes are not an ONNX file: they hold no graph")
    return model


def inlined(model: ModelProto) -> ModelProto:
    """The model without functions of its own: what they stand for stands in the graph.

    Raises DecoderRefused when they cannot be inlined.
    """
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise DecoderRefused(f"its functions cannot be inlined: {str(error)[:200]}") from error


def messages(message: Any) -> Iterator[Any]:
    """A message and all below it: subgraphs, functions, attributes, sparse tensors, whatever comes.

    Protobuf itself refuses files nested deeper than 100 messages.
    """
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for child in [value] if hasattr(value, "ListFields") else value:
                yield from messages(child)


def nodes(model: ModelProto) -> list[NodeProto]:
    """Every node, also in subgraphs and functions."""
    return [part for part in messages(model) if isinstance(part, NodeProto)]


def opset(model: ModelProto) -> int:
    """The version of the standard operators that the graph is written in; 0 when it does not say."""
    return max(
        (entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS),
        default=0,
    )


def files_named_faults(model: ModelProto) -> list[str]:
    """Tensors whose numbers lie in another file: that file would be read where the decoder runs."""
    elsewhere = [
        part
        for part in messages(model)
        if isinstance(part, TensorProto)
        and (part.data_location == TensorProto.EXTERNAL or part.external_data)
    ]
    if not elsewhere:
        return []
    return [
        f"{len(elsewhere)} tensors lie in other files ({_some(map(_location, elsewhere))}); a decoder "
        "is one file: onnx.save(onnx.load(path), path) writes the weights inside"
    ]


def structure_faults(model: ModelProto) -> list[str]:
    """Parts of an ONNX file that have no place in a decoder."""
    faults = []
    overridable = {i.name for i in model.graph.input} & {t.name for t in model.graph.initializer}
    if overridable:
        faults.append(
            f"weights are inputs too ({_some(sorted(overridable))}), so that a caller could replace "
            "them: drop them from graph.input (torch: keep_initializers_as_inputs=False)"
        )
    shadows = [function.name for function in model.functions if _is_taken(function.domain)]
    if shadows:
        faults.append(
            f"its own functions bear names of operators ({_some(shadows)}), so that nobody can tell "
            "which of them runs: inline them with onnx.inliner.inline_local_functions"
        )
    if model.training_info:
        faults.append("it carries graphs for training (training_info): drop them")
    return faults


def summary(model: ModelProto) -> str:
    """For example `IR 10, opset 20, 16 nodes: 4 Cast, 3 Gemm, …`."""
    found = Counter(node.op_type for node in nodes(model))
    told = ", ".join(f"{count} {name}" for name, count in found.most_common(6))
    more = ", …" if len(found) > 6 else ""
    return f"IR {model.ir_version}, opset {opset(model)}, {found.total()} nodes: {told}{more}"


def _is_taken(domain: str) -> bool:
    """Whether a library has operators of its own in a domain, or may have."""
    return domain in STANDARD_DOMAINS or domain.startswith(("ai.onnx.", "com.microsoft"))


def _location(tensor: TensorProto) -> str:
    named = {entry.key: entry.value for entry in tensor.external_data}
    return repr(named.get("location", tensor.name))


def _some(names: Iterator[str] | list[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
