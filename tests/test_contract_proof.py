"""Signatures and proofs: what a third party can check with one image, one small file and one public key."""

import base64
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from service.contract.errors import ProofWrong
from service.contract.faults import parse_request
from service.contract.manifest import Manifest, ManifestShard, Signature
from service.contract.merkle import leaf_hash, root_of
from service.contract.proof import Proof, check_proof, prove
from service.contract.request import resolve
from service.contract.settings import SweepSettings
from service.contract.shard import all_shards
from service.contract.signing import (
    is_signature,
    new_private_key,
    public_key_of,
    read_private_key,
    read_public_key,
    sign,
)
from service.contract.statement import problem_with_manifest, signed
from tests.fixtures.cards import card_of
from tests.test_contract_manifest import PROFILE

#: RFC 8032, 7.1, test 2.
RFC_PRIVATE = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
KEY, OTHER = RFC_PRIVATE, bytes(32)
PUBLIC, OTHERS = public_key_of(KEY), public_key_of(OTHER)
PIXELS = np.random.default_rng(1).integers(0, 256, (2500, 28, 28, 1), np.uint8)
HASHES = [leaf_hash(image.tobytes()) for image in PIXELS]


def manifest(**fields: object) -> Manifest:
    """Of 2,500 images in three shards, a mix of two labels."""
    asked = {"decoder": "mnist", "labels": {"3": 2000, "8": 500}, "seed": 42, "shard_size": 1024}
    request = resolve(parse_request(asked), card_of(), drawn_seed=0)
    shards = [
        ManifestShard(
            index=shard.index,
            start=shard.start,
            stop=shard.stop,
            key=f"shards/{shard.index}",
            size_bytes=10,
            sha256="b" * 64,
            images_root=root_of(HASHES[shard.start : shard.stop]).hex(),
            profile=PROFILE.id,
        )
        for shard in all_shards(request.count, request.shard_size)
    ]
    told: dict[str, Any] = {
        "id": "job-12345",
        "request": request,
        "recipe": request.recipe,
        "recipe_digest": request.recipe.digest,
        "size_bytes": 30,
        "images_root": root_of([bytes.fromhex(shard.images_root) for shard in shards]).hex(),
        "profiles": {PROFILE.id: PROFILE},
        "shards": tuple(shards),
    }
    return Manifest(**told | fields)


def proof_of(index: int, of: Manifest) -> Proof:
    start = index // 1024 * 1024
    return prove(of, HASHES[start : start + 1024], index)


class TestKeys:
    def test_signatures_are_those_of_the_rfc(self) -> None:
        """Whoever checks them with another library finds them right."""
        assert is_signature(public_key_of(RFC_PRIVATE), sign(RFC_PRIVATE, b"\x72"), b"\x72")
        assert base64.b64decode(sign(RFC_PRIVATE, b"\x72")).hex() == RFC_SIGNATURE

    def test_every_key_is_new_and_read_back(self) -> None:
        """A key that is made is one that the setting takes."""
        one, other = new_private_key(), new_private_key()
        assert one != other
        assert len(read_private_key(one)) == 32
        assert read_public_key(public_key_of(read_private_key(one)))
        assert SweepSettings(signing_key=one).private_key == read_private_key(one)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "text", ["", "lmsk_", "lmsk_AAAA", PUBLIC, "lmsk_" + "!" * 44, "x" * 49]
    )
    def test_what_is_none_is_refused_and_never_told(self, text: str) -> None:
        """The public one is not the private one; an empty setting is no key."""
        with pytest.raises(ValueError, match="signing-key") as refused:
            read_private_key(text)
        assert len(text) < 6 or text not in str(refused.value)
        if text:
            with pytest.raises(ValidationError):
                SweepSettings(signing_key=text)  # type: ignore[arg-type]

    def test_an_empty_setting_signs_nothing(self) -> None:
        """A compose file passes what is not set as an empty string."""
        assert SweepSettings(signing_key="").private_key is None  # type: ignore[arg-type]


class TestManifests:
    def test_a_signed_one_is_its_signers(self) -> None:
        """Read back as written, and by nobody else's key."""
        written = signed(manifest(), KEY)
        read = Manifest.model_validate_json(written.to_json())
        assert problem_with_manifest(read, PUBLIC) is None
        assert problem_with_manifest(read, None) is None
        assert "another key" in (problem_with_manifest(read, OTHERS) or "")

    def test_it_is_the_same_whoever_signs(self) -> None:
        """Two finishers at once write the same bytes."""
        assert signed(manifest(), KEY).to_json() == signed(manifest(), KEY).to_json()

    def test_one_without_a_signature_reads_as_before(self) -> None:
        """No key, no field."""
        assert b"signature" not in manifest().to_json()
        assert problem_with_manifest(manifest(), PUBLIC) == "is not signed"

    @pytest.mark.parametrize(
        "change",
        [
            {"id": "job-54321"},
            {"size_bytes": 31},
            {"recipe_digest": "0" * 64},
            {"profiles": {}},
        ],
    )
    def test_whatever_is_changed_is_noticed(self, change: dict[str, object]) -> None:
        """Every field is signed."""
        told = signed(manifest(), KEY).model_copy(update=change)
        assert problem_with_manifest(told, PUBLIC) == "has a signature that is not of what it says"

    def test_a_shard_that_was_put_in_is_noticed_without_any_key(self) -> None:
        """The root is over the shards."""
        first, *rest = manifest().shards
        other = first.model_copy(update={"images_root": "0" * 64})
        told = manifest(shards=(other, *rest))
        assert problem_with_manifest(told, None) == "has a root that is not that of its shards"

    def test_a_signature_of_somebody_else_under_our_name_is_noticed(self) -> None:
        """The name in the manifest proves nothing."""
        theirs = signed(manifest(), OTHER)
        assert theirs.signature
        claimed = Signature(public_key=PUBLIC, signature=theirs.signature.signature)
        told = theirs.model_copy(update={"signature": claimed})
        assert problem_with_manifest(told, PUBLIC) == "has a signature that is not of what it says"
        for text in ("", "AAAA", "not base64!", "ein Gruß"):
            broken = Signature(public_key=PUBLIC, signature=text)
            told = theirs.model_copy(update={"signature": broken})
            problem = problem_with_manifest(told, PUBLIC)
            assert problem == "has a signature that is not of what it says"


class TestProofs:
    @pytest.mark.parametrize("index", [0, 1, 1023, 1024, 2047, 2048, 2499])
    def test_an_image_is_where_it_is(self, index: int) -> None:
        """In the first, a middle and the short last shard; read back from its file; with the label of the mix."""
        of = signed(manifest(), KEY)
        proof = Proof.model_validate_json(proof_of(index, of).to_json())
        check_proof(proof, PIXELS[index].tobytes(), public_key=PUBLIC)
        assert proof.label == of.recipe.labels_between(index, index + 1)[0]

    def test_it_is_small(self) -> None:
        """Sent along with an image, where the manifest is not."""
        assert len(proof_of(7, signed(manifest(), KEY)).model_dump_json()) < 3000

    def test_another_image_is_not(self) -> None:
        """One pixel, one grey level."""
        other = PIXELS[7].copy()
        other[0, 0, 0] ^= 1
        with pytest.raises(ProofWrong, match="it is not image 7 of job job-12345"):
            check_proof(proof_of(7, manifest()), other.tobytes(), public_key=None)

    @pytest.mark.parametrize("index", [8, 1031, 2499])
    def test_it_is_at_no_other_place(self, index: int) -> None:
        """The index is part of what is proved, and with it the label."""
        told = proof_of(7, manifest()).model_copy(update={"index": index})
        with pytest.raises(ProofWrong, match="it is not image"):
            check_proof(told, PIXELS[7].tobytes(), public_key=None)

    def test_a_place_that_the_job_does_not_have(self) -> None:
        """Told as such."""
        told = proof_of(7, manifest()).model_copy(update={"index": 2500})
        with pytest.raises(ProofWrong, match="2500 images"):
            check_proof(told, PIXELS[7].tobytes(), public_key=None)

    @pytest.mark.parametrize("path", ["in_shard", "among_shards"])
    @pytest.mark.parametrize("hashes", [(), ("zz",), ("0" * 64,) * 40])
    def test_a_path_that_is_none(self, path: str, hashes: tuple[str, ...]) -> None:
        """Whatever somebody wrote there, it is an answer and no crash."""
        told = proof_of(7, manifest()).model_copy(update={path: hashes})
        with pytest.raises(ProofWrong, match="it is not image 7"):
            check_proof(told, PIXELS[7].tobytes(), public_key=None)

    def test_who_stands_for_it(self) -> None:
        """A proof that anybody could have written is refused by who asks for a key."""
        pixels = PIXELS[7].tobytes()
        check_proof(proof_of(7, manifest()), pixels, public_key=None)
        with pytest.raises(ProofWrong, match="the proof is not signed"):
            check_proof(proof_of(7, manifest()), pixels, public_key=PUBLIC)
        with pytest.raises(ProofWrong, match="another key"):
            check_proof(proof_of(7, signed(manifest(), OTHER)), pixels, public_key=PUBLIC)
