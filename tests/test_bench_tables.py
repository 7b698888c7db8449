"""README's figures are those that `make bench` wrote, and the plot shows the same."""

import json
from pathlib import Path

from tests.bench.plot import write_plot
from tests.bench.tables import END, START, summary, tables, with_tables

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "deploy" / "bench" / "figures.json"


def test_readme_shows_the_committed_figures() -> None:
    """No figure in README was typed by hand."""
    readme, found = (ROOT / "README.md").read_text(), json.loads(FIGURES.read_text())
    assert with_tables(readme, found) == readme
    assert summary(found) in readme


def test_the_figures_tell_when_and_where() -> None:
    """A figure without its machine and day means nothing."""
    told = json.loads(FIGURES.read_text())["machine"]
    assert {"date", "processor", "cores", "onnxruntime"} <= told.keys()


def test_every_section_is_in_the_long_tables() -> None:
    """What was measured is printed: stages, PNG, scaling, small jobs, memory."""
    found = json.loads(FIGURES.read_text())
    text = tables(found)
    for figures in found["decoders"].values():
        for stage in figures["stages, one core"]:
            assert f"| {stage} |" in text
    assert "peak memory" in text


def test_the_plot_is_drawn_again_from_the_figures(tmp_path: Path) -> None:
    """An SVG that names every bar."""
    write_plot(json.loads(FIGURES.read_text()), tmp_path / "again.svg")
    drawn = (tmp_path / "again.svg").read_text()
    assert drawn.startswith("<?xml")
    assert (ROOT / "deploy" / "bench" / "figures.svg").read_text().count("<g id=") == drawn.count(
        "<g id="
    )


def test_tables_go_between_their_lines() -> None:
    """The rest of a page stays as it is."""
    found = json.loads(FIGURES.read_text())
    page = with_tables(f"before\n{START}\nold\n{END}\nafter\n", found)
    assert page.startswith(f"before\n{START}\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "old" not in page
