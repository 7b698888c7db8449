"""Presets side by side: the same images, the same judge, and a table that a command writes."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from export.checkpoint import load_checkpoint
from export.comparison.compare import Comparing, compare
from export.comparison.markdown import BEGIN, END, placed, tables
from export.comparison.rows import Comparison
from export.evaluation.arguments import QUICK, EvaluationArguments
from export.presets import PRESETS
from export.sources import digits
from service.contract.errors import StartRefused

# Every preset is trained once for all of them.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NAMES = ("textbook", "flow")


def comparing(folder: Path, **changed: object) -> Comparing:
    told = EvaluationArguments(**QUICK | {"likelihood_samples": 10, "likelihood_rows": 10})  # type: ignore[arg-type]
    return Comparing(digits(), folder, told, Console(quiet=True), **({"epochs": 1} | changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def found(folder: Path) -> Comparison:
    torch.set_num_threads(1)
    return compare(comparing(folder), NAMES)


def test_every_preset_is_a_row(found: Comparison) -> None:
    """Fidelity, score, likelihood, size, speed and training time, speeds against the first one's."""
    assert tuple(row.preset for row in found.presets) == NAMES
    assert found.presets[0].speed_to_first == 1.0
    for row in found.presets:
        assert row.fidelity is not None
        assert row.score is not None
        assert 0 <= row.fidelity.mean <= 1
        assert row.nll > 0
        assert min(row.size_bytes, row.images_per_s, row.training_s) > 0
    assert [row.precision for row in found.variants] == ["fp32", "fp16", "int8"]
    assert found.variants[1].size_bytes < found.variants[0].size_bytes


def test_finished_comparison_trains_nothing_again(found: Comparison, folder: Path) -> None:
    """What is in the folder is taken: figures and files stay, only speeds are measured anew."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.pt")}
    again = compare(comparing(folder), NAMES)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.pt")} == before
    for one, other in zip(found.presets, again.presets, strict=True):
        assert (one.fidelity, one.score, one.nll) == (other.fidelity, other.score, other.nll)
        assert one.training_s == other.training_s


def test_folder_of_other_arguments_is_refused(found: Comparison, folder: Path) -> None:
    """Figures of two different trainings never stand in one table."""
    with pytest.raises(StartRefused, match="other arguments: delete"):
        compare(comparing(folder, epochs=2), NAMES)
    assert load_checkpoint(folder / "flow" / "checkpoint.pt").facts.arguments.epochs == 1


def test_tables_stand_between_their_markers(found: Comparison) -> None:
    """The rest of the page stays as it was; writing twice changes nothing more."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = placed(page, found)
    assert once.startswith(f"before\n{BEGIN}\n")
    assert once.endswith(f"{END}\nafter\n")
    assert "old" not in once
    assert placed(once, found) == once
    with pytest.raises(StartRefused, match="no place for the tables"):
        placed("a page without markers", found)


def test_readme_has_the_table_that_was_measured() -> None:
    """README's figures are those of the committed comparison, with a row for every preset."""
    kept = (ROOT / "deploy" / "decoders" / "comparison.json").read_bytes()
    measured = Comparison.model_validate_json(kept)
    assert {row.preset for row in measured.presets} == set(PRESETS)
    readme = (ROOT / "README.md").read_text()
    assert tables(measured) in readme
    assert placed(readme, measured) == readme
