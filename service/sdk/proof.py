"""Proofs that an image is a job's: made from the job's archives, checked with nothing but image, proof and key."""

from pathlib import Path

import numpy as np
from latentmill.folder import read_manifest
from latentmill.png import read_png
from latentmill.transport import Transport
from latentmill.verify import ReadShard, check_archive, from_folder, from_server

from service.contract.errors import Fault, ProofWrong, RequestInvalid
from service.contract.manifest import Manifest
from service.contract.proof import Proof, check_proof, prove


def proof_from_folder(folder: Path, index: int) -> Proof:
    """Of image `index`, from a downloaded job. Raises ArchiveBroken, RequestInvalid."""
    manifest = read_manifest(folder)
    return _proof(manifest, from_folder(folder, manifest), index)


def proof_from_server(transport: Transport, manifest: Manifest, index: int) -> Proof:
    """The same from the stored archive that holds the image."""
    return _proof(manifest, from_server(transport, manifest), index)


def _proof(manifest: Manifest, read: ReadShard, index: int) -> Proof:
    count = manifest.request.count
    if not 0 <= index < count:
        raise RequestInvalid([Fault("/index", f"from 0 to {count - 1}")])
    shard = manifest.shards[index // manifest.request.shard_size]
    return prove(manifest, check_archive(read(shard), shard, manifest), index)


def read_proof(path: Path) -> Proof:
    """Raises ProofWrong for what is none."""
    try:
        return Proof.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise ProofWrong(f"{path} is not a proof") from error


def check_image(png: bytes, proof: Proof, *, public_key: str | None = None) -> None:
    """Raises ProofWrong unless the PNG file shows what the proof says, by who holds the key; ArchiveBroken for no PNG.

    By its pixels: whoever packs the file anew changes nothing. Without a key anybody may have written the proof.
    """
    check_proof(proof, np.ascontiguousarray(read_png(png)).data, public_key=public_key)
