"""Names, types and shapes of a graph's inputs and output, against the contract and the card."""

from dataclasses import dataclass

from onnx import ModelProto, TensorProto, ValueInfoProto, helper, shape_inference

from export.inspection.finding import Draft
from service.contract.card import IMAGE_OUTPUT, LABEL_INPUT, LATENT_INPUT
from service.contract.shard import BLOCK

#: Where neither graph nor card names a batch: fast for dense decoders, and 28x28 fits any cache.
DEFAULT_BATCH_SIZE = 256

#: The contract's tensors: type, and what each dimension counts.
_WANTED = {
    LATENT_INPUT: (TensorProto.FLOAT, ("batch", "latent_dim")),
    LABEL_INPUT: (TensorProto.INT64, ("batch",)),
    IMAGE_OUTPUT: (TensorProto.UINT8, ("batch", "height", "width", "channels")),
}


@dataclass(frozen=True)
class Tensor:
    """One input or output as the file declares it; a dimension that is no number is dynamic."""

    name: str
    kind: int
    dims: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {_kind(self.kind)} [{', '.join(map(str, self.dims))}]"


@dataclass(frozen=True)
class Signature:
    """What a graph takes and yields."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.inputs))} -> {', '.join(map(str, self.outputs))}"

    @property
    def by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in (*self.inputs, *self.outputs)}


def signature(model: ModelProto) -> Signature:
    """What the file declares, and what follows for dimensions that it leaves open.

    Exporters leave height and width open where only the batch is: what the graph computes tells more.
    Weights that are inputs too are told elsewhere.
    """
    inferred = _inferred(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [_tensor(value) for value in model.graph.input if value.name not in weights]
    return Signature(tuple(inputs), tuple(map(_tensor, inferred.graph.output)))


def _inferred(model: ModelProto) -> ModelProto:
    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except MemoryError:
        raise
    except Exception:  # Each of ONNX's own classes; its checker will tell which.
        return model


def facts(found: Signature, draft: Draft) -> Draft:
    """What a signature tells of a card; only sure of itself where there are no faults."""
    tensors = found.by_name
    batches = [t.dims[0] for t in tensors.values() if t.dims and isinstance(t.dims[0], int)]
    _, latent_dim = tensors[LATENT_INPUT].dims
    _, height, width, channels = tensors[IMAGE_OUTPUT].dims
    image = {"height": height, "width": width, "channels": channels}
    told = {"batch_size": next(iter(batches), draft.get("batch_size", DEFAULT_BATCH_SIZE))}
    told |= {"latent_dim": latent_dim} if isinstance(latent_dim, int) else {}
    is_known = all(isinstance(dim, int) for dim in image.values())
    return told | ({"image": image} if is_known else {})


def signature_faults(found: Signature, draft: Draft) -> list[str]:
    """Everything that is not as contract and card say: what is wanted, and what was found."""
    wanted = [LATENT_INPUT, *([LABEL_INPUT] if draft.get("labels") else [])]
    faults = [
        *_name_faults("input", wanted, [tensor.name for tensor in found.inputs], found),
        *_name_faults("output", [IMAGE_OUTPUT], [tensor.name for tensor in found.outputs], found),
    ]
    known = [tensor for name, tensor in found.by_name.items() if name in _WANTED]
    for tensor in known:
        faults += _shape_faults(tensor, draft)
    return faults + _batch_faults(known, draft.get("batch_size"))


def _name_faults(what: str, wanted: list[str], names: list[str], found: Signature) -> list[str]:
    missing = [_missing(what, name, found) for name in wanted if name not in names]
    return missing + [_one_too_many(what, found.by_name[n]) for n in names if n not in wanted]


def _missing(what: str, name: str, found: Signature) -> str:
    why = ", for the card names labels" if name == LABEL_INPUT else ""
    return f"{what} {_contract(name)} is missing{why}; found {found}"


def _one_too_many(what: str, tensor: Tensor) -> str:
    if tensor.name == LABEL_INPUT:
        return f'{what} {tensor} asks for labels: the card lists them as "labels", in order of ids'
    return f"{what} {tensor} is one too many"


def _shape_faults(tensor: Tensor, draft: Draft) -> list[str]:
    kind, counts = _WANTED[tensor.name]
    if tensor.kind != kind or len(tensor.dims) != len(counts):
        return [f"{_contract(tensor.name)} is wanted, found {tensor}{_float_hint(tensor)}"]
    told = _told_by(draft)
    return [
        fault
        for count, dim in zip(counts[1:], tensor.dims[1:], strict=True)
        if (fault := _dim_fault(tensor, count, dim, told.get(count)))
    ]


def _float_hint(tensor: Tensor) -> str:
    if tensor.name != IMAGE_OUTPUT or tensor.kind == TensorProto.UINT8:
        return ""
    return "; scale to 0…255, round, clip and cast to uint8 inside the graph"


def _dim_fault(tensor: Tensor, count: str, dim: int | str, told: int | None) -> str | None:
    if not isinstance(dim, int):
        # What the card says of an open dimension is tried on every image.
        place = count if tensor.name == LATENT_INPUT else f"image/{count}"
        open_ = f"{tensor} leaves {count} open ({dim}): fix it in the export, or name {place}"
        return None if told is not None else f"{open_} in the card"
    if told is not None and dim != told:
        return f"{tensor} has {count} {dim}, the card says {told}"
    if count == "channels" and dim not in (1, 3):
        return f"{tensor} has {dim} channels, not 1 or 3; channels come last: [B, H, W, C]"
    return None


def _told_by(draft: Draft) -> dict[str, int]:
    told = {"latent_dim": draft.get("latent_dim"), **draft.get("image", {})}
    return {count: number for count, number in told.items() if number is not None}


def _batch_faults(known: list[Tensor], told: int | None) -> list[str]:
    batches = {tensor.dims[0] for tensor in known if tensor.dims}
    fixed = sorted(dim for dim in batches if isinstance(dim, int))
    if len(fixed) > 1:
        return [f"inputs and output have different batches: {', '.join(map(str, known))}"]
    if not fixed:
        return []
    batch = fixed[0]
    if batch < 1 or batch > BLOCK or batch & (batch - 1):
        return [f"the batch of {batch} is no power of two up to {BLOCK}; export with one that is"]
    if told not in (None, batch):
        return [f"the graph is made for a batch of {batch}, the card says batch_size {told}"]
    return []


def _tensor(value: ValueInfoProto) -> Tensor:
    tensor = value.type.tensor_type
    dims = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return Tensor(value.name, tensor.elem_type, dims)


def _contract(name: str) -> str:
    kind, counts = _WANTED[name]
    return f"{name} {_kind(kind)} [{', '.join(counts)}]"


def _kind(kind: int) -> str:
    try:
        return str(helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError):
        return f"type {kind}"
