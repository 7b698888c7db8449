"""Manifests and shard records survive being stored, and profiles tell machines apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.faults import parse_request
from service.contract.manifest import Manifest, ManifestShard, Profile, ShardRecord
from service.contract.request import resolve
from tests.fixtures.cards import card_of

PROFILE = Profile(
    decoder="a" * 64,
    onnxruntime="1.32.0",
    provider="CPUExecutionProvider",
    device="x86_64-avx2",
    encoder="png-1",
)

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
profiles = st.builds(
    Profile, decoder=digests, onnxruntime=words, provider=words, device=words, encoder=words
)
records = st.builds(
    ShardRecord,
    samples=st.integers(1, 64_512),
    size_bytes=st.integers(1, 2**40),
    sha256=digests,
    images_root=digests,
    profile=profiles,
)


@given(record=records)
def test_a_shard_record_survives_as_object_metadata(record: ShardRecord) -> None:
    """What the store keeps beside a shard is enough to adopt it without reading it."""
    assert ShardRecord.from_metadata(record.to_metadata(), size_bytes=record.size_bytes) == record


@given(record=records)
def test_metadata_is_what_every_store_keeps(record: ShardRecord) -> None:
    """Lower-case ASCII names, ASCII values on one line, within the 2 KiB that S3 allows."""
    metadata = record.to_metadata()
    assert all(name == name.lower() and name.isascii() and "_" not in name for name in metadata)
    assert all(value.isascii() and value.isprintable() for value in metadata.values())
    assert sum(len(name) + len(value) for name, value in metadata.items()) < 2048


@pytest.mark.parametrize("missing", ["samples", "sha256", "images-root", "profile"])
def test_metadata_of_somebody_else_is_not_a_record(missing: str) -> None:
    """An object that no worker of ours wrote is noticed."""
    record = ShardRecord(
        samples=1,
        size_bytes=1,
        sha256="b" * 64,
        images_root="d" * 64,
        profile=PROFILE,
    )
    metadata = {name: value for name, value in record.to_metadata().items() if name != missing}
    with pytest.raises(KeyError, match=missing):
        ShardRecord.from_metadata(metadata, size_bytes=1)
    with pytest.raises(ValueError, match=r"nonsense"):
        ShardRecord.from_metadata(metadata | {missing: "nonsense"}, size_bytes=1)


def test_the_profile_id_is_fixed() -> None:
    """Manifests name profiles by it, so it cannot change within a contract version."""
    assert PROFILE.id == "bc8245ea75516fcf"


@pytest.mark.parametrize("field", sorted(Profile.model_fields))
def test_everything_in_a_profile_tells_machines_apart(field: str) -> None:
    """Two profiles that differ anywhere are two classes of bytes."""
    other = PROFILE.model_copy(update={field: "b" * 64})
    assert other.id != PROFILE.id


def manifest() -> Manifest:
    request = resolve(
        parse_request(
            {"decoder": "mnist", "label": 3, "count": 1500, "seed": 2**63 - 1, "shard_size": 1024}
        ),
        card_of(),
        drawn_seed=0,
    )
    lines = [
        ManifestShard(
            index=index,
            start=index * 1024,
            stop=min(1500, index * 1024 + 1024),
            key=f"shards/{index}",
            size_bytes=10,
            sha256="b" * 64,
            images_root="d" * 64,
            profile=PROFILE.id,
        )
        for index in range(2)
    ]
    return Manifest(
        id="job-12345",
        request=request,
        recipe=request.recipe,
        recipe_digest=request.recipe.digest,
        size_bytes=20,
        images_root="e" * 64,
        profiles={PROFILE.id: PROFILE},
        shards=lines,  # type: ignore[arg-type]
    )


def test_a_manifest_reads_back_as_written() -> None:
    """Verification starts from `manifest.json`; the largest seed survives the round trip."""
    written = manifest()
    read = Manifest.model_validate_json(written.to_json())
    assert read == written
    assert read.recipe.digest == written.recipe_digest
    assert read.request.seed == 2**63 - 1


def test_a_manifest_with_an_unknown_field_is_refused() -> None:
    """Values are closed on the way in too."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        Manifest.model_validate_json(
            manifest().to_json().replace(b'"profiles"', b'"extra": 1, "profiles"')
        )
