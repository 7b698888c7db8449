"""The report as files: the same bytes again, honest about what is missing, and whole or not there."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.checkpoint import Checkpoint
from export.data import Split
from export.decoder import export_decoder, write_folder
from export.evaluation.page import page
from export.evaluation.report import Report
from export.publish import load_folder
from service.contract.errors import CheckpointInvalid, DataSetInvalid, StartRefused
from tests.fixtures.bank import bank_decoder
from tests.fixtures.commands import here, start
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.evaluation import Judge
from tests.fixtures.processes import eventually
from workers.decoder import Decoder

HEADLINES = {"reference_classifier_accuracy", "label_fidelity", "classification_accuracy_score"}


@pytest.mark.slow
def test_same_seed_same_bytes(judge: Judge, digits_checkpoint: Checkpoint, tmp_path: Path) -> None:
    """With a checkpoint every measure is taken, and a second run writes the same two files.

    The second run finds the classifiers of the first; a third, in a folder of its own, trains them again.
    """
    onnx, card = export_decoder(digits_checkpoint, name="digits", batch_size=64)
    runs = []
    for kept in (judge.kept, judge.kept, tmp_path / "kept"):
        other = Judge(judge.data, kept)
        runs.append(
            other.evaluate(onnx, card, checkpoint=digits_checkpoint, least_steps=15, most_steps=15)
        )
    texts = {page(run.report, run.galleries) for run in runs}
    assert len(texts) == 1
    assert len({run.report.to_json() for run in runs}) == 1
    report = runs[0].report
    assert report.left_out == {}
    assert Report.model_validate_json(report.to_json()) == report
    assert report.bound
    assert report.bound.negative_elbo == pytest.approx(
        report.bound.reconstruction + report.bound.kl, abs=1e-5
    )
    assert report.likelihood
    assert (report.likelihood.images, report.likelihood.samples) == (10, 8)
    assert report.curve
    assert len(report.curve.points) == len(digits_checkpoint.facts.history)
    assert {gallery.name for gallery in runs[0].galleries} > {"reconstructions", "closest_pairs"}


def test_what_is_left_out_is_told(judge: Judge) -> None:
    """Without a checkpoint, and of what was not asked for, the report says why there is no figure."""
    report = judge.judge(judge.real(), "fidelity", "bound", "likelihood")
    assert report.left_out["bound"] == "it needs the encoder: give --checkpoint"
    assert report.left_out["score"] == "not asked for"
    assert (report.bound, report.score) == (None, None)
    text = page(report)
    assert "it needs the encoder: give --checkpoint" in text
    assert 'id="score"' not in text


def test_nothing_to_measure_is_refused(judge: Judge) -> None:
    """Where no figure can be taken, the reason stands in place of an empty page."""
    with pytest.raises(StartRefused, match=r"likelihood: it needs the encoder: give --checkpoint"):
        judge.judge(judge.real(), "likelihood")


def test_an_unconditional_decoder_is_compared_by_images(judge: Judge) -> None:
    """No label, no fidelity and no score; its images are still judged by the labelled data's classifier."""
    onnx, card = bank_decoder([judge.data.train.images], labels=())
    found = judge.evaluate(onnx, card)
    assert found.report.left_out["fidelity"] == "the decoder takes no label"
    assert found.report.manifold
    assert found.report.manifold.space == "the reference classifier's features"
    assert found.report.manifold.coverage.mean > 0.5
    assert found.report.neighbours
    assert found.report.neighbours.verdict == "copies"
    assert "What does it draw?" in page(found.report, found.galleries)


def test_data_without_labels_is_compared_by_pixels(judge: Judge) -> None:
    """Where no classifier can be trained, principal components of the pixels stand in for it."""

    def bare(split: Split) -> Split:
        return Split(split.images, np.zeros_like(split.labels))

    data = judge.data
    parts = {name: bare(getattr(data, name)) for name in ("train", "validation", "test")}
    unlabelled = Judge(replace(data, labels=(), **parts), judge.kept)
    onnx, card = bank_decoder([data.train.images], labels=())
    found = unlabelled.evaluate(onnx, card)
    assert found.report.reference is None
    assert found.report.manifold
    assert found.report.manifold.space == "64 principal components of the pixels"
    assert found.report.manifold.coverage.mean > 0.5
    assert "reference classifier" not in page(found.report, found.galleries)


@pytest.mark.slow
def test_colour_images_of_any_shape(judge: Judge) -> None:
    """A decoder of 12 x 10 colour images with letters for labels takes the same way."""
    generator = np.random.default_rng(0)
    labels = tuple("abc")
    images = generator.integers(0, 40, (240, 12, 10, 3), np.uint8)
    ids = np.arange(240) % 3
    images[np.arange(240), :, :, ids] += 150
    split = Split(images, ids.astype(np.int64))
    onnx, card = bank_decoder([images[ids == place] for place in range(3)], labels)
    data = replace(
        judge.data, labels=labels, shape=card.image, train=split, validation=split, test=split
    )
    found = Judge(data, judge.kept).evaluate(onnx, card, "fidelity", "manifold", "pictures")
    assert found.report.fidelity
    assert found.report.fidelity.fidelity.mean > 0.95
    assert {len(strip.title) for strip in found.galleries[0].strips} == {1}


def test_a_decoder_is_judged_by_its_own_data(judge: Judge) -> None:
    """Other labels or another size are refused before anything is trained."""
    for labels, shape in ((tuple("abcdefghij"), (8, 8, 1)), (tuple("0123456789"), (9, 8, 1))):
        onnx, card = tiny_decoder(labels=labels, shape=shape)
        with pytest.raises(DataSetInvalid, match="give --data the data that it was trained on"):
            judge.evaluate(onnx, card)


def test_another_decoders_checkpoint_is_refused(
    judge: Judge, digits_checkpoint: Checkpoint
) -> None:
    """A likelihood of one model beside samples of another would be worth nothing."""
    latent_dim = digits_checkpoint.facts.arguments.latent_dim
    onnx, card = tiny_decoder(latent_dim=latent_dim)
    with pytest.raises(CheckpointInvalid, match="give the checkpoint that it was exported from"):
        judge.evaluate(onnx, card, checkpoint=digits_checkpoint)


@pytest.mark.slow
def test_the_card_tells_the_headlines(
    digits_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`evaluate FOLDER` writes two files and the headline figures into the card, whose decoder stays."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    onnx, card = export_decoder(digits_checkpoint, name="digits", batch_size=64)
    write_folder(tmp_path / "decoder", onnx, card)
    words = ("evaluate", "decoder", "--data", "digits", "--quick", "--threads", "1")
    some = ("--only", "fidelity", "--only", "score")
    ended = here(*words, *some, "--card", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads((tmp_path / "report" / "report.json").read_bytes())
    told = load_folder(tmp_path / "decoder")[1]
    assert set(told.quality["evaluation"]) >= HEADLINES
    assert (
        told.quality["evaluation"]["label_fidelity"]["mean"]
        == figures["fidelity"]["fidelity"]["mean"]
    )
    assert told.model_copy(update={"quality": card.quality}) == card
    Decoder(onnx, told)
    page_before = (tmp_path / "report" / "report.html").read_bytes()
    # Another measure adds its figure and takes none away.
    assert here(*words, "--only", "manifold", "--card", cwd=tmp_path).returncode == 0
    assert set(load_folder(tmp_path / "decoder")[1].quality["evaluation"]) >= HEADLINES | {
        "coverage"
    }
    # A card that tells more is no other decoder: the report stays. A quick look leaves the card alone.
    (tmp_path / "decoder" / "card.json").write_bytes(card.to_json())
    ended = here(*words, *some, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert load_folder(tmp_path / "decoder")[1] == card
    assert (tmp_path / "report" / "report.html").read_bytes() == page_before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere",), "no decoder named 'nowhere'"),
        (("mnist", "--data", "digits"), "draws 28x28x1 images and digits holds 8x8x1"),
        (("mnist", "--checkpoint", "none.pt"), "none.pt cannot be read"),
        (("mnist", "--only", "beauty"), "beauty"),
        (("mnist", "--skip", "fidelity", "--only", "fidelity"), "--skip leaves no measure"),
        (("mnist", "--to", "/proc/none"), "cannot be written"),
    ],
)
def test_faults_are_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """A person who mistypes gets a sentence and exit code 2, and no file."""
    ended = here("evaluate", *words, cwd=tmp_path)
    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_leaves_no_report(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle: no report, no traceback, the card as it was; what was learned is kept."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_folder(tmp_path / "decoder", *bank_decoder(judge.real()))
    card = (tmp_path / "decoder" / "card.json").read_bytes()
    words = ("evaluate", "decoder", "--data", "digits", "--threads", "1", "--seeds", "50")
    with start(*words, cwd=tmp_path) as process:
        kept = tmp_path / "home" / ".local" / "share" / "latentmill" / "classifiers"
        assert eventually(lambda: any(kept.glob("classifier-*.pt")), within_s=90)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not (tmp_path / "report").exists()
    assert (tmp_path / "decoder" / "card.json").read_bytes() == card
    assert [file.name for file in kept.iterdir() if file.name.startswith(".")] == []
