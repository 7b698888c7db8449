"""The peers of the benchmark: what they write is what was asked for, and none of it is ours."""

import ast
import io
import json
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from export.checkpoint import Checkpoint
from export.decoder import export_decoder, write_folder
from tests.bench.peers.comparison import PEERS, best_of, measure_peers, run_once
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.imports import PACKAGES, ROOT, imported_names, tree

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests" / "bench" / "peers"
COUNT = 512
BATCH = 64


@pytest.fixture(scope="module")
def dense(digits_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a decoder of dense layers in a row, as the exporter writes it."""
    folder = tmp_path_factory.mktemp("dense")
    write_folder(folder, *export_decoder(digits_checkpoint, name="digits", batch_size=BATCH))
    return folder


def command(peer: str, decoder: Path, count: int = COUNT) -> list[str]:
    script = str(FOLDER / f"{peer}.py")
    return [sys.executable, script, "--decoder", str(decoder), "--count", str(count)]


@pytest.mark.parametrize("peer", ["plain_script", "onnxruntime_script"])
def test_a_script_writes_every_image_once(peer: str, dense: Path, tmp_path: Path) -> None:
    """What is timed is the whole of what was asked for: so many PNG files in archives."""
    done = subprocess.run(
        [*command(peer, dense), "--out", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["peer"], told["images"]) == (peer, COUNT)
    assert 0 < told["seconds"] < told["seconds_with_start"]
    assert told["peak_rss_mb"] > 10
    (archive,) = tmp_path.glob("*.zip")
    assert archive.stat().st_size == told["bytes"]
    with zipfile.ZipFile(archive) as members:
        assert members.namelist() == [f"3/{index:012d}.png" for index in range(COUNT)]
        image = Image.open(io.BytesIO(members.read("3/000000000511.png")))
        assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))


def test_the_torch_network_is_the_decoder(dense: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain script decodes with the same weights as everybody else: pixels within one grey level."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from errand import Errand
    from plain_script import dense_layers

    errand = Errand(decoder=dense, count=BATCH, out=dense, png_level=6)
    latents = np.random.default_rng(0).standard_normal((BATCH, 8), np.float32)
    session = onnxruntime.InferenceSession(dense / "decoder.onnx")
    (theirs,) = session.run(["image"], {"latent": latents, "label": np.full(BATCH, 3, np.int64)})
    one_hot = np.eye(10, dtype=np.float32)[np.full(BATCH, 3)]
    with torch.inference_mode():
        logits = dense_layers(errand)(torch.tensor(np.hstack([latents, one_hot])))
    ours = (torch.sigmoid(logits) * 255).round().numpy().reshape(theirs.shape)
    assert np.abs(ours - theirs).max() <= 1
    assert theirs.std() > 10


def test_another_architecture_is_not_measured(tmp_path: Path) -> None:
    """The plain script says what it cannot run, in place of a figure for something else."""
    write_folder(tmp_path, *tiny_decoder())
    told = run_once("plain_script", command("plain_script", tmp_path))
    reason = "the decoder has another architecture than dense layers in a row"
    assert told == {"peer": "plain_script", "not_measured": reason}


def test_missing_images_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that wrote too little ends with an error, not with a rate."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from pictures import check_indexes

    check_indexes([1, 0], Namespace(count=2))
    with pytest.raises(SystemExit, match="2 of 3 images"):
        check_indexes([0, 1, 1], Namespace(count=3))


def test_without_their_environment_the_peers_are_named(tmp_path: Path) -> None:
    """A benchmark on a machine without the peers runs on and says how to get them."""
    told = measure_peers(tmp_path, COUNT, tmp_path / "python")
    assert set(told) == set(PEERS)
    assert all("make bench-peers" in one["not_measured"] for one in told.values())


def test_the_fastest_run_counts_and_a_failed_one_does_not_hide() -> None:
    """Noise only slows; a peer that fails every other time has no rate."""
    slow, fast = {"images_per_s": 1, "bytes": 7}, {"images_per_s": 2, "bytes": 8}
    assert best_of([fast, slow]) == fast | {"all_images_per_s": [2, 1]}
    assert best_of([fast, {"not_measured": "exit 1"}]) == {"not_measured": "exit 1"}


def test_the_peers_import_nothing_of_ours() -> None:
    """They are what one would use in place of Latentmill, so they must run without it."""
    scripts = [file for file in FOLDER.glob("*.py") if file.stem not in ("__main__", "__init__")]
    assert len(scripts) > len(PEERS)
    imported = {
        name.partition(".")[0]
        for script in scripts
        for node in ast.walk(tree(script))
        for name in imported_names(node, "service")
    }
    assert {"ray", "bentoml", "torch", "errand"} <= imported
    assert imported & {*PACKAGES, "tests"} == set()
