"""The manifest: every shard of a completed job with its size, its checksums and the profile that made it."""

from collections.abc import Mapping

from pydantic import Field

from service.contract.recipe import Recipe
from service.contract.request import ResolvedRequest
from service.contract.value import SHA256, Value, canonical_json, sha256_hex


class Profile(Value):
    """What, beside the recipe, can change a byte. Same profile, same bytes; else pixels within 1 grey level.

    `device` is the class of machine (instruction set, or GPU model), not the machine.
    """

    decoder: str = Field(pattern=SHA256)
    onnxruntime: str
    provider: str
    device: str
    encoder: str

    @property
    def id(self) -> str:
        return sha256_hex(canonical_json(self.model_dump(mode="json")))[:16]


class ShardRecord(Value):
    """What is known of one stored shard.

    `sha256` is of the object's bytes, `images_root` the root of the hash tree over the images' raw pixels in index
    order (see `service/contract/merkle.py`): the same for the same images, in whatever format.
    """

    samples: int = Field(ge=1)
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern=SHA256)
    images_root: str = Field(pattern=SHA256)
    profile: Profile

    def to_metadata(self, *, maker: str = "") -> dict[str, str]:
        """As object metadata: short ASCII strings, so that every store keeps them. `maker` is the worker's name."""
        return ({"maker": maker} if maker else {}) | {
            "samples": str(self.samples),
            "sha256": self.sha256,
            "images-root": self.images_root,
            "profile": canonical_json(self.profile.model_dump(mode="json")).decode(),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, size_bytes: int) -> "ShardRecord":
        """Raises ValueError (KeyError for a missing field) for metadata that no worker of ours wrote."""
        return cls(
            samples=int(metadata["samples"]),
            size_bytes=size_bytes,
            sha256=metadata["sha256"],
            images_root=metadata["images-root"],
            profile=Profile.model_validate_json(metadata["profile"]),
        )


def maker_of(metadata: Mapping[str, str]) -> str:
    """The worker that stored an object; empty where nobody has told."""
    return metadata.get("maker", "")


class ManifestShard(Value):
    """One line of the manifest: samples `start` … `stop` - 1 lie in the object `key`."""

    index: int
    start: int
    stop: int
    key: str
    size_bytes: int
    sha256: str = Field(pattern=SHA256)
    images_root: str = Field(pattern=SHA256)
    profile: str


class Signature(Value):
    """Who stands for the job's statement (see `service/contract/statement.py`), by Ed25519 (RFC 8032)."""

    public_key: str
    signature: str


class Manifest(Value):
    """`manifest.json`. With the decoder it is enough to verify, repair or make the job again.

    `profiles` maps each shard's `profile` to what it stands for. `images_root` is over the shards' roots. A service
    without a signing key signs nothing.
    """

    id: str
    request: ResolvedRequest
    recipe: Recipe
    recipe_digest: str = Field(pattern=SHA256)
    size_bytes: int
    images_root: str = Field(pattern=SHA256)
    profiles: dict[str, Profile]
    shards: tuple[ManifestShard, ...] = Field(strict=False)
    signature: Signature | None = Field(default=None, exclude_if=lambda it: it is None)
