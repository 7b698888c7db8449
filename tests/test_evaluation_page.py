"""The page itself: complete without a network, readable in every window, and safe."""

import re
from html.parser import HTMLParser

import pytest

from export.evaluation.chart import Series, line_chart, round_ticks, steps
from export.evaluation.page import page
from tests.fixtures.bank import bank_decoder
from tests.fixtures.chromium import Chromium
from tests.fixtures.evaluation import Judge

WIDE, TELEPHONE = 1280, 375
MEASURES = ("fidelity", "manifold", "neighbours", "temperature", "pictures")


@pytest.fixture(scope="module")
def text(judge: Judge) -> str:
    found = judge.evaluate(*bank_decoder(judge.real()), *MEASURES)
    return page(found.report, found.galleries)


class Reader(HTMLParser):
    """Collects the tags of a page, and checks that each is closed by its own."""

    VOID = {"meta", "link", "img", "br", "line", "path", "circle", "hr"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_page_needs_no_other_file(text: str) -> None:
    """No script, and nothing is loaded: pictures and style are in the page, links lead to papers."""
    found = read(text)
    assert found.all("script") == []
    sources = [attributes["src"] for attributes in found.all("img")]
    assert all(source and source.startswith("data:image/png;base64,") for source in sources)
    links = {attributes["href"] for attributes in found.all("a", "link")} - {"data:,"}
    assert all(re.match(r"#|https://arxiv\.org/abs/\d{4}\.\d{5}$", link or "") for link in links)
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_is_for_everybody(text: str) -> None:
    """Language, landmarks, one first heading, words for every picture, heads for every table."""
    found = read(text)
    assert found.all("html") == [{"lang": "en"}]
    for landmark in ("header", "main", "footer", "nav", "h1", "title"):
        assert len(found.all(landmark)) == 1, landmark
    assert all(attributes.get("alt") for attributes in found.all("img"))
    assert all(attributes.get("aria-label") for attributes in found.all("svg"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in found.all("th"))
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {
        (link["href"] or "")[1:] for link in found.all("a") if (link["href"] or "")[0] == "#"
    }
    assert targets <= set(ids)


def test_names_cannot_write_into_the_page(judge: Judge) -> None:
    """A data set's name and its files' names come from a disk, and are shown as they are spelled."""
    report = judge.judge(judge.real(), "fidelity")
    foul = "<script>alert(1)</script>"
    data = report.data.model_copy(update={"name": foul, "files": {foul: "0" * 64}})
    text = page(report.model_copy(update={"data": data}))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 2


def test_a_quick_look_and_a_weak_judge_are_told(judge: Judge) -> None:
    """Figures that are not to be cited say so at the top."""
    report = judge.judge(judge.real(), "fidelity")
    assert report.reference
    weak = report.reference.model_copy(update={"accuracy": 0.8})
    hasty = report.arguments.model_copy(update={"quick": True})
    text = page(report.model_copy(update={"reference": weak, "arguments": hasty}))
    assert "A first look." in text
    assert "reads only 80.00\N{NARROW NO-BREAK SPACE}% of the real test images" in text


def test_many_labels_have_no_matrix(judge: Judge) -> None:
    """Beyond 26 labels the commonest confusions stand for a table that no screen holds."""
    report = judge.judge(judge.real(), "fidelity")
    names = tuple(f"c{number}" for number in range(40))
    rows = tuple(tuple(8 if i == j else 2 * (j == 0) for j in range(40)) for i in range(40))
    assert report.fidelity
    fidelity = report.fidelity.model_copy(update={"confusion": rows})
    decoder = report.decoder.model_copy(update={"labels": names})
    text = page(report.model_copy(update={"fidelity": fidelity, "decoder": decoder}))
    assert 'matrix"' not in text
    assert "c1 read as c0 (20.00" in text


def test_ticks_are_round_and_hold_the_figures() -> None:
    """Axes end at round numbers around the figures, also where all figures are equal."""
    assert round_ticks(0.985, 1) == [0.985, 0.99, 0.995, 1]
    assert round_ticks(3, 97) == [0, 20, 40, 60, 80, 100]
    for low, high in ((0.0, 0.0), (5.0, 5.0), (-3.0, 2e-5)):
        ticks = round_ticks(low, high)
        assert ticks[0] <= low <= high <= ticks[-1]
        assert len(set(ticks)) > 1


def test_a_line_stays_inside_its_chart() -> None:
    """Every point of every line lies within the axes; one epoch alone makes a chart too."""
    for points in ([(1.0, 90.0)], steps([0.2, 0.5, 0.3], 2.0)):
        drawn = line_chart([Series("line", points)], alt="", x_title="", y_title="")
        numbers = [float(number) for number in re.findall(r"[\d.]+", drawn.lines[0][1])]
        assert all(drawn.left <= x <= drawn.width - drawn.right for x in numbers[::2])
        assert all(drawn.top <= y <= drawn.height - drawn.bottom for y in numbers[1::2])


@pytest.mark.parametrize("width", [WIDE, TELEPHONE])
def test_a_browser_shows_all_of_it(text: str, chromium: Chromium, width: int) -> None:
    """In a real browser nothing is broken or wider than the window, and nothing complains."""
    light, dark = (chromium.see(text, width=width, dark=dark) for dark in (False, True))
    for seen in (light, dark):
        assert seen["overflow"] == 0, seen
        assert (seen["broken"], seen["console"]) == (0, [])
        assert seen["images"] > 30
        assert seen["drawings"] == 3
        assert seen["smallest"] >= 13
    assert light["background"] != dark["background"]
