"""`latentmill publish` from the outside: somebody's generator, a card of two fields, every fault at once."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import helper

from service.adapters.storage_folder import FolderStorage
from service.contract.card import DecoderCard
from service.contract.value import sha256_hex
from service.lifecycle.decoders import find_card
from tests.fixtures.commands import COMMAND, Ended, environment, latentmill, start
from tests.fixtures.decoders import tiny_decoder, tiny_graph
from tests.fixtures.graphs import DRAFT, endless, grey_levels, of_nodes, with_node
from tests.fixtures.processes import eventually
from workers.decoder import Decoder
from workers.latents import draw_latents
from workers.sessions import Sessions


def write(folder: Path, file: bytes, card: object = DRAFT) -> Path:
    (folder / "decoder.onnx").write_bytes(file)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def publish(folder: Path, *words: str) -> Ended:
    told = ("publish", "decoder.onnx", *words)
    return latentmill(*told, cwd=folder, storage_url=f"file://{folder}/store")


def stored(folder: Path, name: str = "theirs") -> DecoderCard:
    return find_card(FolderStorage(folder / "store"), name)


def is_untouched(folder: Path) -> bool:
    return not (folder / "store").exists()


def test_a_generator_and_a_card_of_two_fields_are_published(tmp_path: Path) -> None:
    """What a person has and types ends as a decoder that a worker draws with."""
    file = tiny_graph()
    ended = publish(write(tmp_path, file), "--card", "card.json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "decoder theirs" in ended.stdout
    card = stored(tmp_path)
    assert (card.batch_size, card.latent_dim, card.size_bytes) == (64, 8, len(file))
    sessions = Sessions(FolderStorage(tmp_path / "store"), device="cpu", threads=1)
    drawn = sessions.get("theirs", card.digest).decode(draw_latents(0, 0, 64, 8), "3")
    _, ours = tiny_decoder()
    assert np.array_equal(drawn, Decoder(file, ours).decode(draw_latents(0, 0, 64, 8), "3"))


def test_a_dry_run_prints_every_check_and_writes_nothing(tmp_path: Path) -> None:
    """A line for each, its verdict first, so that `cut` and people can read it."""
    ended = publish(write(tmp_path, tiny_graph()), "--dry-run")
    *checks, last = ended.stdout.splitlines()
    verdicts = {line.split("\t")[1]: line.split("\t")[0] for line in checks}
    assert {"size", "operators", "signature", "finite", "rows", "speed"} <= set(verdicts)
    assert set(verdicts.values()) == {"ok"}
    assert (ended.returncode, "nothing was written" in last) == (0, True)
    assert is_untouched(tmp_path)


def test_every_fault_is_a_line_and_the_last_one_counts_them(tmp_path: Path) -> None:
    """Exit code 2, nothing on stdout, nothing stored."""
    card = DRAFT | {"latent_dim": 9, "batch_size": 32}
    ended = publish(write(tmp_path, with_node("Bernoulli", ["latent"]), card))
    *faults, last = ended.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in faults] == [
        "operators",
        "signature",
        "signature",
    ]
    assert last == "latentmill: decoder.onnx: 3 faults, told above; nothing was written"
    assert (ended.returncode, ended.stdout) == (2, "")
    assert is_untouched(tmp_path)


def test_one_fault_is_one_line(tmp_path: Path) -> None:
    """Then there is nothing to count."""
    ended = publish(write(tmp_path, tiny_graph(uint8=False)))
    (line,) = ended.stderr.splitlines()
    assert line.startswith("latentmill: decoder.onnx: signature: image uint8")
    assert ended.returncode == 2


def test_faults_of_a_card_are_told_before_the_file_is_read(tmp_path: Path) -> None:
    """All of them, a line each."""
    ended = publish(write(tmp_path, b"", {"name": "My gan", "labels": ["a/b"], "colour": 1}))
    assert ended.stderr.splitlines() == [
        "refused: card: name: 'My gan' does not match ^[a-z0-9][a-z0-9_-]{0,63}$",
        "refused: card: labels/0: 'a/b' does not match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        "refused: card: colour: unknown field",
        "latentmill: decoder.onnx: 3 faults, told above; nothing was written",
    ]


def test_a_warning_is_told_and_the_decoder_is_published(tmp_path: Path) -> None:
    """What may be meant is not refused."""
    nothing = helper.make_node("Mul", ["latent", "zero"], ["x"])
    one_grey = of_nodes(nothing, *grey_levels("x"))
    ended = publish(write(tmp_path, one_grey, {"name": "theirs"}))
    assert ended.stderr == "warning: latents: 1 of 256 latents draw an image of their own\n"
    assert (ended.returncode, stored(tmp_path).name) == (0, "theirs")


def test_published_again_readers_are_told_the_new_words(tmp_path: Path) -> None:
    """Figures that were measured later reach the stored card of the same file."""
    publish(write(tmp_path, tiny_graph()))
    before = stored(tmp_path)
    words = {"description": "drawn by hand", "quality": {"fidelity": 0.98}}
    ended = publish(write(tmp_path, tiny_graph(), DRAFT | words))
    assert ended.returncode == 0, ended.stderr
    assert stored(tmp_path) == before.model_copy(update=words)


def test_without_promotion_the_name_means_what_it_meant(tmp_path: Path) -> None:
    """The version can be asked for by its digest until somebody promotes it."""
    publish(write(tmp_path, tiny_graph()))
    old = stored(tmp_path)
    assert publish(write(tmp_path, tiny_graph(seed=1)), "--no-promote").returncode == 0
    assert stored(tmp_path) == old
    storage = FolderStorage(tmp_path / "store")
    assert find_card(storage, "theirs", sha256_hex(tiny_graph(seed=1))).name == "theirs"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-size-mib", "0"], "--max-size-mib"),
        (["--card", "none.json"], "none.json cannot be read: No such file"),
    ],
)
def test_mistyped_words_are_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    """A sentence and exit code 2."""
    ended = publish(write(tmp_path, tiny_graph()), *words)
    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_beyond_the_limit_says_how_to_raise_it(tmp_path: Path) -> None:
    """Before anything is parsed."""
    write(tmp_path, bytes(2**20 + 1))
    ended = publish(tmp_path, "--max-size-mib", "1")
    assert "more than 1,048,576 bytes; raise the limit with --max-size-mib" in ended.stderr


def test_ctrl_c_stops_a_check_that_hangs(tmp_path: Path) -> None:
    """The command and the process that it started are gone, without a traceback."""
    write(tmp_path, endless(), {"name": "theirs"})
    store = f"file://{tmp_path}/store"
    with start("publish", "decoder.onnx", cwd=tmp_path, storage_url=store) as process:
        children = wait_for_child(process.pid)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "")
    assert not any(child.is_running() for child in children)
    assert is_untouched(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the time limit ends it")
def test_a_killed_command_takes_its_check_along(tmp_path: Path) -> None:
    """Nobody is left to stop a check that hangs, so the kernel does."""
    write(tmp_path, endless(), {"name": "theirs"})
    with start("publish", "decoder.onnx", cwd=tmp_path) as process:
        children = wait_for_child(process.pid)
        time.sleep(3)
        process.kill()
    assert eventually(lambda: not any(child.is_running() for child in children), within_s=10)


def wait_for_child(pid: int) -> list[psutil.Process]:
    for _ in range(200):
        children = psutil.Process(pid).children()
        if children:
            return children
        time.sleep(0.1)
    raise AssertionError("the command started no process")


def test_without_onnx_the_extra_is_named(tmp_path: Path) -> None:
    """Serving needs no onnx; publishing says in one line what to install."""
    boot = Path(__file__).parent / "fixtures" / "boot_without.py"
    command = [COMMAND[0], "-P", str(boot), "without", "onnx", "--", "publish", str(tmp_path)]
    ended = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.endswith(": pip install 'latentmill[publish]'\n")
    assert len(ended.stderr.splitlines()) == 1
