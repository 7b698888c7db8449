"""That one image is a job's, shown without the job: a statement, and the hashes beside the way to its root."""

from collections.abc import Sequence

from pydantic import Field

from service.contract.errors import ProofWrong
from service.contract.manifest import Manifest, Signature
from service.contract.merkle import leaf_hash, path_of, root_by
from service.contract.shard import shard_at
from service.contract.statement import Statement, problem_with_signature, statement_of
from service.contract.value import Value


class Proof(Value):
    """The image `index` of a job. `in_shard` leads from its pixels to its shard's root, `among_shards` on to the job's.

    Hashes in hexadecimal, the lowest first; see `service/contract/merkle.py`.
    """

    index: int = Field(ge=0)
    in_shard: tuple[str, ...] = Field(strict=False)
    among_shards: tuple[str, ...] = Field(strict=False)
    statement: Statement
    signature: Signature | None = None

    @property
    def label(self) -> str | None:
        """Of the image; None where the decoder has none."""
        return self.statement.request.recipe.labels_between(self.index, self.index + 1)[0] or None


def prove(manifest: Manifest, hashes: Sequence[bytes], index: int) -> Proof:
    """`hashes` are `leaf_hash` of all images of the shard that holds the image, in order."""
    request = manifest.request
    shard = shard_at(
        index // request.shard_size, count=request.count, shard_size=request.shard_size
    )
    roots = [bytes.fromhex(each.images_root) for each in manifest.shards]
    return Proof(
        index=index,
        in_shard=tuple(each.hex() for each in path_of(hashes, index - shard.start)),
        among_shards=tuple(each.hex() for each in path_of(roots, shard.index)),
        statement=statement_of(manifest),
        signature=manifest.signature,
    )


def check_proof(proof: Proof, pixels: bytes | memoryview, *, public_key: str | None) -> None:
    """Raises ProofWrong unless an image of these raw pixels is where the proof says, by who holds the key.

    Without a key nobody stands for the statement, which anybody could have written.
    """
    request = proof.statement.request
    if proof.index >= request.count:
        raise ProofWrong(f"the job has {request.count} images, so none at {proof.index}")
    shard = shard_at(
        proof.index // request.shard_size, count=request.count, shard_size=request.shard_size
    )
    place, size = proof.index - shard.start, shard.stop - shard.start
    root = _root(proof.in_shard, leaf_hash(pixels), index=place, size=size)
    if root is not None:
        root = _root(proof.among_shards, root, index=shard.index, size=request.shards)
    if root is None or root.hex() != proof.statement.images_root:
        raise ProofWrong(f"it is not image {proof.index} of job {proof.statement.id}")
    if public_key is not None:
        problem = problem_with_signature(proof.statement, proof.signature, public_key)
        if problem is not None:
            raise ProofWrong(f"the proof {problem}")


def _root(path: tuple[str, ...], found: bytes, *, index: int, size: int) -> bytes | None:
    try:
        hashes = [bytes.fromhex(each) for each in path]
    except ValueError:
        return None
    return root_by(hashes, found, index=index, size=size)
