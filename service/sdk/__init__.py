"""Latentmill's client: `from latentmill import Client`."""

from latentmill import errors
from latentmill.archive import Arrays
from latentmill.client import Client
from latentmill.verify import ShardFault, Verification, verify_folder

from service.contract.card import DecoderCard
from service.contract.job import Job, Progress, Status
from service.contract.manifest import Manifest
from service.contract.repair import RepairReport

__all__ = [
    "Arrays",
    "Client",
    "DecoderCard",
    "Job",
    "Manifest",
    "Progress",
    "RepairReport",
    "ShardFault",
    "Status",
    "Verification",
    "errors",
    "verify_folder",
]
