"""`latentmill train | export | publish` from the outside: what a person types, sees and finds."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export.checkpoint import load_checkpoint
from export.decoder import export_decoder
from export.publish import load_folder
from service.adapters.storage_folder import FolderStorage
from tests.fixtures.decoders import tiny_card, tiny_decoder

ROOT = Path(__file__).parents[1]
#: Another hash seed than that of the test process, and one thread, which tiny matrices like best.
REPEATABLE = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
SMALL = ["--latent-dim", "4", "--hidden", "16", "--encoder-hidden", "16", "--couplings", "2"]
SMALL += ["--feature-maps", "4", "--coupling-hidden", "8"]
QUICK = ["--epochs", "1", *SMALL]


def start(folder: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", **REPEATABLE}
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli.main", *words],
        cwd=folder,
        env=environment | settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def latentmill(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    """Exit code and everything that was printed."""
    process = start(folder, *words, **settings)
    output, _ = process.communicate(timeout=100)
    return process.returncode, output


@pytest.mark.slow
def test_from_images_to_a_published_decoder(tmp_path: Path) -> None:
    """Three commands lead from images to a decoder in storage, each telling what it did."""
    code, said = latentmill(tmp_path, "train", "--data", "digits", "--out", "d.pt", *QUICK)
    assert (code, "validation negative ELBO" in said) == (0, True), said
    words = ("--name", "digits", "--out", "decoder", "--batch-size", "64")
    code, said = latentmill(tmp_path, "export", "d.pt", *words)
    assert (code, "largest_difference_levels" in said) == (0, True), said
    # Bytes and card do not hang on the process, its hash seed, its folder or the time.
    again = export_decoder(load_checkpoint(tmp_path / "d.pt"), name="digits", batch_size=64)
    assert load_folder(tmp_path / "decoder") == again
    store = f"file://{tmp_path}/store"
    code, said = latentmill(tmp_path, "publish", "decoder", LATENTMILL_STORAGE_URL=store)
    assert (code, f"published to {store}" in said) == (0, True), said
    stored = FolderStorage(tmp_path / "store").get("decoders/digits/current.json")
    assert again[1].digest.encode() in stored
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.pt", "decoder", "store"]


def test_dry_run_checks_and_writes_nothing(tmp_path: Path) -> None:
    """`publish --dry-run` says whether a decoder would be taken, without touching storage."""
    onnx, card = tiny_decoder()
    (tmp_path / "tiny.onnx").write_bytes(onnx)
    (tmp_path / "tiny.json").write_bytes(card.to_json())
    (tmp_path / "other.json").write_bytes(tiny_card(b"other").to_json())
    store = f"file://{tmp_path}/store"
    words = ("publish", "tiny.onnx", "--dry-run", "--card")
    code, said = latentmill(tmp_path, *words, "tiny.json", LATENTMILL_STORAGE_URL=store)
    assert (code, "nothing was written" in said) == (0, True), said
    code, said = latentmill(tmp_path, *words, "other.json", LATENTMILL_STORAGE_URL=store)
    assert (code, "its card says" in said) == (2, True), said
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "--data", "nowhere"], "no data set, folder or .npz file 'nowhere'"),
        (["train", "--data", "digits", "--lr", "0"], "greater than 0"),
        (["train", "--data", "digits", "--out", "/proc/none/c.pt"], "cannot be written"),
        (["export", "none.pt", "--name", "x", "--out", "deep/o"], "none.pt cannot be read"),
        (["publish", "nowhere"], "cannot be read"),
    ],
)
def test_faults_are_one_line_and_exit_code_two(tmp_path: Path, words: list[str], told: str) -> None:
    """A person who mistypes gets a sentence, never a traceback."""
    code, said = latentmill(tmp_path, *words)
    assert (code, told in said) == (2, True), said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


#: Long enough to be stopped in the middle.
TRAINING = ("train", "--data", "digits", "--epochs", "10", *SMALL, "--out")


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    assert latentmill(folder, *TRAINING, "whole.pt")[0] == 0
    return (folder / "whole.pt").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_training_goes_on_to_the_same_checkpoint(
    tmp_path: Path, how: signal.Signals, never_stopped: bytes
) -> None:
    """Stopped in the middle, the same command ends with the very file of a run never stopped."""
    process = start(tmp_path, *TRAINING, "stopped.pt", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            break
    process.send_signal(how)
    said = process.communicate(timeout=100)[0]
    assert process.returncode != 0
    assert "Traceback" not in said
    assert ("the same command goes on" in said) == (how == signal.SIGINT)
    assert not (tmp_path / "stopped.pt").exists()
    code, said = latentmill(tmp_path, *TRAINING, "stopped.pt")
    assert (code, "going on after epoch" in said) == (0, True), said
    assert (tmp_path / "stopped.pt").read_bytes() == never_stopped
    # A run killed inside a write may leave its draft, which nothing ever reads.
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert left == {"stopped.pt"}


@pytest.mark.slow
def test_restart_begins_anew(tmp_path: Path) -> None:
    """What an interrupted run left is refused under other arguments, and dropped by --restart."""
    (tmp_path / "d.pt.unfinished").write_bytes(b"left behind")
    words = ("train", "--data", "digits", "--epochs", "1", *SMALL, "--out", "d.pt")
    code, said = latentmill(tmp_path, *words)
    assert (code, "d.pt.unfinished was not written by" in said) == (2, True), said
    assert latentmill(tmp_path, *words, "--restart")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["d.pt"]
