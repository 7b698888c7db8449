"""A signed job from end to end: its manifest, the proof of one image, and what a stranger can check with them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from latentmill import Client, check_image, verify_folder
from latentmill.extract import extract as unpack
from latentmill.proof import proof_from_folder
from PIL import Image

from export.publish import publish
from service.contract.errors import ProofWrong, RequestInvalid
from service.contract.signing import new_private_key, public_key_of, read_private_key
from tests.fixtures.api import Api, start_api
from tests.fixtures.commands import here as latentmill
from tests.fixtures.decoders import tiny_decoder

PRIVATE = new_private_key()
PUBLIC, OTHERS = (public_key_of(read_private_key(key)) for key in (PRIVATE, new_private_key()))


@pytest.fixture
def signing(redis_url: str, folder_url: str) -> Iterator[Api]:
    """A service that signs."""
    running = start_api(redis_url, folder_url, signing_key=PRIVATE)
    publish(running.parts.storage, *tiny_decoder())
    yield running
    running.stop()


def packed(pixels: Any) -> bytes:
    """As a PNG file that no worker of ours wrote."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG", compress_level=9)
    return file.getvalue()


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.settings.port}"


@pytest.mark.parametrize("format", ["zip", "tar", "npz", "parquet"])
def test_one_image_and_its_proof_are_enough(signing: Api, tmp_path: Path, format: str) -> None:
    """Whatever format the job has: wherever the image was kept, by its pixels it is the job's."""
    job = signing.completed(label=None, count=None, labels={"3": 1500, "5": 1000}, format=format)
    with Client(url_of(signing)) as client:
        proof = client.proof(job["id"], 2100)
        images = client.arrays(job["id"]).images
        check_image(packed(images[2100]), proof, public_key=PUBLIC)
        with pytest.raises(ProofWrong, match=f"it is not image 2100 of job {job['id']}"):
            check_image(packed(images[2099]), proof, public_key=PUBLIC)
        client.download(job["id"], tmp_path / "job")
        with pytest.raises(RequestInvalid, match="from 0 to 2499"):
            client.proof(job["id"], 2500)
    assert proof_from_folder(tmp_path / "job", 2100) == proof
    assert verify_folder(tmp_path / "job", public_key=PUBLIC).is_intact


def test_the_root_is_of_the_pixels(signing: Api) -> None:
    """One root for one set of images, whatever holds them; the signatures differ, for the requests do."""
    with Client(url_of(signing)) as client:
        manifests = [
            client.manifest(signing.completed(format=format)["id"]) for format in ("zip", "npz")
        ]
    one, other = manifests
    assert one.images_root == other.images_root
    assert one.signature != other.signature


def test_on_the_command_line(signing: Api, tmp_path: Path) -> None:
    """The proof is printed; a stranger without server, archive or key checks it; a wrong image is code 1."""
    job = signing.completed(count=40)
    with Client(url_of(signing)) as client:
        client.download(job["id"], tmp_path / "job")
        (tmp_path / "packed-anew.png").write_bytes(packed(client.arrays(job["id"]).images[7]))
        unpack(tmp_path / "job")
        (tmp_path / "7.png").write_bytes(
            (tmp_path / "job" / "images" / "3" / "000000000007.png").read_bytes()
        )
    proof = tmp_path / "proof.json"
    told = latentmill("proof", job["id"], "7", url=url_of(signing))
    proof.write_text(told.stdout)
    assert latentmill("proof", str(tmp_path / "job"), "7").stdout == told.stdout
    for name in ("7.png", "packed-anew.png"):
        checked = latentmill(
            "check-image", str(tmp_path / name), str(proof), "--public-key", PUBLIC
        )
        assert checked.returncode == 0, checked.stderr
        assert f"image 7 of job {job['id']}" in checked.stdout
        assert "label 3, seed 42\nsigned with that key" in checked.stdout
    unsaid = latentmill("check-image", str(tmp_path / "7.png"), str(proof))
    assert (unsaid.returncode, "by whom is not known" in unsaid.stdout) == (0, True)
    theirs = latentmill("check-image", str(tmp_path / "7.png"), str(proof), "--public-key", OTHERS)
    assert (theirs.returncode, "another key" in theirs.stdout) == (1, True)
    proof.write_text(told.stdout.replace('"index": 7', '"index": 8'))
    wrong = latentmill("check-image", str(tmp_path / "7.png"), str(proof))
    assert (wrong.returncode, "it is not image 8" in wrong.stdout) == (1, True)


@pytest.mark.parametrize("given", ["lmpk_short", PRIVATE], ids=["short", "private"])
def test_a_key_that_is_none_is_one_line(tmp_path: Path, given: str) -> None:
    """Before anything is read; a private key is not told back."""
    refused = latentmill("verify", str(tmp_path), "--public-key", given)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert PRIVATE not in refused.stderr


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"index": -1}'])
def test_a_proof_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    """Whatever the file holds."""
    (tmp_path / "proof.json").write_text(text)
    (tmp_path / "image.png").write_bytes(b"")
    refused = latentmill("check-image", str(tmp_path / "image.png"), str(tmp_path / "proof.json"))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is not a proof" in refused.stderr


def test_verify_asks_who_signed(signing: Api, tmp_path: Path) -> None:
    """A manifest that was changed, or that another has signed, is told beside intact archives."""
    job = signing.completed(count=40)
    folder = tmp_path / "job"
    with Client(url_of(signing)) as client:
        client.download(job["id"], folder)
        assert client.verify(job["id"], public_key=PUBLIC).is_intact
        assert not client.verify(job["id"], public_key=OTHERS).is_intact
    assert latentmill("verify", str(folder), "--public-key", PUBLIC).returncode == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["request"]["seed"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    told = latentmill("verify", str(folder), "--public-key", PUBLIC)
    assert told.returncode == 1
    assert "the manifest has a signature that is not of what it says" in told.stdout
    assert "1 of 1 archives intact" in told.stdout
    assert latentmill("verify", str(folder)).returncode == 0


def test_a_service_without_a_key_signs_nothing(api: Api) -> None:
    """Who asks for a signature there is told that there is none."""
    job = api.completed(count=40)
    with Client(url_of(api)) as client:
        assert client.manifest(job["id"]).signature is None
        found = client.verify(job["id"], public_key=PUBLIC)
    assert (found.faults, found.manifest_problem) == ((), "is not signed")


def test_keys_are_made_and_told(tmp_path: Path) -> None:
    """One command makes the pair: the private half in the setting, the public half from it."""
    private = latentmill("signing-key").stdout.strip()
    public = latentmill("signing-key", "--public", signing_key=private)
    assert public.stdout.strip() == public_key_of(read_private_key(private))
    unset = latentmill("signing-key", "--public")
    assert (unset.returncode, "LATENTMILL_SIGNING_KEY is not set" in unset.stderr) == (2, True)
