"""What a signature says of a job: which request its images are of, their root, and the manifest that lists them.

Small enough to go along with a single image, where a manifest may have thousands of shards.
"""

from pydantic import Field

from service.contract.manifest import Manifest, Signature
from service.contract.merkle import root_of
from service.contract.request import ResolvedRequest
from service.contract.signing import is_signature, public_key_of, sign
from service.contract.value import SHA256, Value, canonical_json, sha256_hex

#: Keeps what is signed here from being taken for anything else.
_CONTEXT = b"latentmill manifest 1\n"


class Statement(Value):
    """`manifest_sha256` is of the manifest's canonical JSON without its signature."""

    id: str
    request: ResolvedRequest
    images_root: str = Field(pattern=SHA256)
    manifest_sha256: str = Field(pattern=SHA256)

    @property
    def signed_bytes(self) -> bytes:
        return _CONTEXT + canonical_json(self.model_dump(mode="json"))


def statement_of(manifest: Manifest) -> Statement:
    told = manifest.model_dump(mode="json", exclude={"signature"})
    return Statement(
        id=manifest.id,
        request=manifest.request,
        images_root=manifest.images_root,
        manifest_sha256=sha256_hex(canonical_json(told)),
    )


def signed(manifest: Manifest, private_key: bytes) -> Manifest:
    """The same manifest with its signature."""
    signature = Signature(
        public_key=public_key_of(private_key),
        signature=sign(private_key, statement_of(manifest).signed_bytes),
    )
    return manifest.model_copy(update={"signature": signature})


def problem_with_signature(
    statement: Statement, signature: Signature | None, public_key: str
) -> str | None:
    """Why the holder of the key does not stand for the statement; None when it does. Raises ValueError for no key."""
    if signature is None:
        return "is not signed"
    if is_signature(public_key, signature.signature, statement.signed_bytes):
        return None
    if signature.public_key != public_key:
        return f"is signed with another key, {signature.public_key}"
    return "has a signature that is not of what it says"


def problem_with_manifest(manifest: Manifest, public_key: str | None) -> str | None:
    """What a manifest itself has wrong, before any archive is looked at; None when all fits."""
    roots = [bytes.fromhex(shard.images_root) for shard in manifest.shards]
    if not roots or root_of(roots).hex() != manifest.images_root:
        return "has a root that is not that of its shards"
    if public_key is None:
        return None
    return problem_with_signature(statement_of(manifest), manifest.signature, public_key)
