"""Where a report goes: two files of its own, and a few figures in the decoder's card."""

from pathlib import Path

from export.evaluation.evaluate import Evaluation
from export.evaluation.page import page
from export.evaluation.report import Report
from export.files import write_whole
from export.publish import CARD_FILE, load_folder

PAGE_FILE, FIGURES_FILE = "report.html", "report.json"


def write_report(folder: Path, found: Evaluation) -> None:
    """Write the page and the figures, each whole."""
    # Both are made before either is written: no page stands beside another run's figures.
    html, figures = page(found.report, found.galleries).encode(), found.report.to_json()
    write_whole(folder / FIGURES_FILE, figures)
    write_whole(folder / PAGE_FILE, html)


def tell_card(folder: Path, report: Report) -> None:
    """Put the headlines into the card of an exported decoder. Raises DecoderRefused."""
    _, card = load_folder(folder)
    found = report.headlines()
    known = card.quality.get("evaluation", {})
    # A later run of other measures adds its figures; those of other data say nothing any more.
    kept = known if known.get("data") == found["data"] else {}
    told = card.model_copy(update={"quality": card.quality | {"evaluation": kept | found}})
    write_whole(folder / CARD_FILE, told.to_json())
