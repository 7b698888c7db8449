"""Latentmill's client: `from latentmill import Client`."""

from typing import TYPE_CHECKING, Any

from latentmill import errors
from latentmill.archive import Arrays
from latentmill.async_client import AsyncClient
from latentmill.client import Client
from latentmill.proof import check_image
from latentmill.stored import StoredDataset
from latentmill.verify import ShardFault, Verification, verify_folder

from service.contract.card import DecoderCard
from service.contract.job import Job, Progress, Status
from service.contract.manifest import Manifest
from service.contract.mix import apportioned, balancing
from service.contract.overlap import Overlap
from service.contract.proof import Proof
from service.contract.repair import RepairReport

if TYPE_CHECKING:
    from latentmill.dataset import SyntheticDataset

__all__ = [
    "Arrays",
    "AsyncClient",
    "Client",
    "DecoderCard",
    "Job",
    "Manifest",
    "Overlap",
    "Progress",
    "Proof",
    "RepairReport",
    "ShardFault",
    "Status",
    "StoredDataset",
    "SyntheticDataset",
    "Verification",
    "apportioned",
    "balancing",
    "check_image",
    "errors",
    "verify_folder",
]


def __getattr__(name: str) -> Any:
    """The data set draws by itself and needs ONNX Runtime; the client does not."""
    if name != "SyntheticDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from latentmill.dataset import SyntheticDataset

    return SyntheticDataset
