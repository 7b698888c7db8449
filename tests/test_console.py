"""The console in a real browser, against the whole service: what a person does there, and what it asks for."""

import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from latentmill import Client
from playwright.sync_api import Page, expect

from service.contract.key import Scope
from service.lifecycle.keys import create_key
from service.local.stack import Stack
from tests.fixtures.api import Api
from tests.fixtures.browser import OpenPage, grave_faults, overflow
from tests.fixtures.processes import eventually
from tests.fixtures.stack import TINY

WIDTHS = {"telephone": 375, "tablet": 768, "wide": 1600}


def opened(open_page: OpenPage, stack: Stack, where: str = "#/new", **settings: object) -> Page:
    page = open_page(f"{stack.url}/{where}", **settings)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def pictures_of(page: Page) -> int:
    """How many samples are shown as pictures."""
    return int(
        page.evaluate(
            "[...document.querySelectorAll('.sample img')].filter((i) => i.naturalWidth).length"
        )
    )


def await_pictures(page: Page, count: int) -> None:
    """Wait until so many samples are there, and every one is a picture."""
    expect(page.locator(".sample img:not(.late)")).to_have_count(count)
    assert eventually(lambda: pictures_of(page) == count, within_s=10)


def fill_in(page: Page, *, count: int, seed: int, label: str = "3") -> None:
    page.get_by_label("Decoder").select_option(TINY)
    page.get_by_label("Label", exact=True).select_option(label)
    page.get_by_label("Images", exact=True).fill(str(count))
    page.get_by_label("Seed").fill(str(seed))


def submitted(page: Page, *, count: int, seed: int, label: str = "3", size: int = 0) -> str:
    """Fill the form in and send it; the job's id."""
    fill_in(page, count=count, seed=seed, label=label)
    if size:
        page.get_by_text("More", exact=True).click()
        page.get_by_label("Images in each archive").fill(str(size))
    page.get_by_role("button", name="Submit the job").click()
    page.wait_for_url(re.compile(r"#/jobs/[A-Za-z0-9_-]{8,}$"))
    return page.url.rpartition("/")[2]


def test_a_job_from_the_form_to_the_download(
    open_page: OpenPage, stack: Stack, client: Client, tmp_path: Path
) -> None:
    """Quote and true first images before anything runs; then progress, images, archives, verified and saved."""
    page = opened(open_page, stack)
    fill_in(page, count=2500, seed=71)
    expect(page.get_by_text("2,500")).to_be_visible()
    expect(page.get_by_text("nothing yet of 1 archive")).to_be_visible()
    await_pictures(page, 12)
    assert 71 not in [job.request.seed for job in client.jobs(limit=5)]
    job_id = submitted(page, count=2500, seed=71)
    expect(page.get_by_text("completed", exact=True)).to_be_visible()
    expect(page.get_by_text("2,500 of 2,500 images")).to_be_visible()
    assert client.job(job_id).request.seed == 71
    await_pictures(page, 24)
    page.get_by_role("button", name="Verify here").click()
    expect(page.get_by_text("1 of 1 archives have the sha256")).to_be_visible()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Download archive 0").click()
    saving.value.save_as(tmp_path / "saved.zip")
    with zipfile.ZipFile(tmp_path / "saved.zip") as archive:
        assert len(archive.namelist()) == 2501
        member = archive.read("3/000000000005.png")
    assert member == client.image(TINY, 3, seed=71, index=5)


def test_every_fault_of_a_request_is_told_beside_its_field(
    open_page: OpenPage, stack: Stack
) -> None:
    """While it is typed, and without a job; mended, the marks are gone."""
    page = opened(open_page, stack)
    page.get_by_label("Images", exact=True).fill("0")
    page.get_by_label("Seed").fill("many")
    count, seed = page.get_by_label("Images", exact=True), page.get_by_label("Seed")
    expect(count).to_have_attribute("aria-invalid", "true")
    expect(seed).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#count-fault")).not_to_be_empty()
    expect(page.locator("#seed-fault")).not_to_be_empty()
    assert grave_faults(page) == []
    page.get_by_role("button", name="Submit the job").click()
    expect(count).to_be_focused()
    assert "#/new" in page.url or page.url.endswith("/")
    count.fill("10")
    seed.fill("1")
    expect(count).to_have_attribute("aria-invalid", "false")
    expect(seed).to_have_attribute("aria-invalid", "false")


def test_a_running_job_moves_and_can_be_cancelled(open_page: OpenPage, stack: Stack) -> None:
    """Progress and the time left are told while it runs; then it ends as asked."""
    page = opened(open_page, stack)
    submitted(page, count=40_000_000, seed=5, size=1024)
    moved = "document.querySelector('progress')?.value > 0"
    assert eventually(lambda: page.evaluate(moved), within_s=20)
    expect(page.get_by_text(re.compile("About .* left"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1 .badge")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_the_gallery_shows_any_image_of_the_job(
    open_page: OpenPage, stack: Stack, client: Client
) -> None:
    """Pages, a number typed, and one image large with its address and its sum."""
    job = client.wait(client.submit(TINY, 4, count=60_000, seed=2**63 - 1))
    page = opened(open_page, stack, f"#/jobs/{job.id}")
    await_pictures(page, 24)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("24 – 47 of 60,000")).to_be_visible()
    page.get_by_label("From image").fill("59990")
    page.get_by_label("From image").press("Enter")
    expect(page.get_by_text("59,990 – 59,999 of 60,000")).to_be_visible()
    await_pictures(page, 10)
    page.get_by_role("button", name=re.compile("sample 59999 ")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"/{2**63 - 1}/59999.png")).to_be_visible()
    png = client.image(f"{TINY}@{job.request.digest}", 4, seed=2**63 - 1, index=59_999)
    shown = httpx.get(dialog.get_by_label("address", exact=True).inner_text())
    assert shown.content == png
    assert dialog.get_by_text(shown.headers["ETag"].strip('"')).is_visible()
    dialog.press("ArrowLeft")
    expect(dialog.get_by_text("/59998.png")).to_be_visible()
    assert grave_faults(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_same_again_and_more_of_it(open_page: OpenPage, stack: Stack, client: Client) -> None:
    """The form is filled in from the job; the quote knows what is stored, and nothing is made twice."""
    first = client.wait(client.submit(TINY, 5, count=2048, seed=99, shard_size=1024))
    page = opened(open_page, stack, f"#/jobs/{first.id}")
    page.get_by_role("link", name="More of it").click()
    # By its role: on the job's page, which may still be shown, the gallery has this name.
    expect(page.get_by_role("textbox", name="Images", exact=True)).to_have_value("4096")
    expect(page.get_by_text("2 of 4 archives already")).to_be_visible()
    page.get_by_role("button", name="Submit the job").click()
    expect(
        page.get_by_text("4,096 of 4,096 images, 2 of 4 archives were stored before")
    ).to_be_visible()
    page.get_by_role("link", name="Same again").click()
    expect(page.get_by_text("4 of 4 archives already")).to_be_visible()


def test_the_programs_shown_make_the_same_job(
    open_page: OpenPage, stack: Stack, client: Client, tmp_path: Path
) -> None:
    """The curl and the Python beside the form run as they stand there."""
    page = opened(open_page, stack)
    fill_in(page, count=12, seed=9007199254740993, label="7")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Temperature").fill("0.7")
    expect(page.get_by_label("curl", exact=True)).to_contain_text("0.7")
    curl = page.get_by_label("curl", exact=True).inner_text()
    python = page.get_by_label("Python", exact=True).inner_text()
    answered = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True)
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, capture_output=True)
    by_python, by_curl = list(client.jobs(limit=2))
    assert json.loads(answered.stdout)["id"] == by_curl.id
    assert by_python.request == by_curl.request
    assert by_curl.request.seed == 9007199254740993
    assert len(list((tmp_path / "images").rglob("*.zip"))) == 1


def test_a_mix_of_labels(open_page: OpenPage, stack: Stack, client: Client) -> None:
    """Its first images are shown in their labels before it runs, and the gallery knows the label of any of them."""
    page = opened(open_page, stack)
    page.get_by_label("Decoder").select_option(TINY)
    page.get_by_label("Label", exact=True).select_option("a mix of several")
    page.get_by_label("Images of each label").fill("3=x")
    expect(page.locator("#labels-fault")).not_to_be_empty()
    page.get_by_label("Images of each label").fill("3=3000, 8=1000, 9=0")
    page.get_by_label("Seed").fill("17")
    await_pictures(page, 12)
    expect(page.get_by_role("button", name=re.compile("^Label 8, sample"))).to_have_count(3)
    page.get_by_role("button", name="Submit the job").click()
    expect(page.get_by_text("4,000 of 4,000 images")).to_be_visible()
    job = client.job(page.url.rpartition("/")[2])
    assert job.request.labels == {"3": 3000, "8": 1000}
    await_pictures(page, 24)
    expect(page.get_by_role("button", name=re.compile("^Label 8, sample"))).to_have_count(6)
    arrays = client.arrays(job)
    page.get_by_label("From image").fill("3990")
    page.get_by_label("From image").press("Enter")
    await_pictures(page, 10)
    shown = page.get_by_role("button", name=re.compile(r"^Label \d, sample")).all()
    names = [button.locator("img").get_attribute("alt") for button in shown]
    assert names == [
        f"Label {label}, sample {index} of seed 17"
        for label, index in zip(arrays.labels[3990:], range(3990, 4000), strict=True)
    ]
    page.get_by_role("link", name="More of it").click()
    expect(page.get_by_label("Images of each label")).to_have_value("3=6000, 8=2000")


def test_a_key_is_asked_for_and_used(open_page: OpenPage, api: Api) -> None:
    """Without one a deployment with keys shows nothing; with one every page works; it stays in the tab."""
    token, _ = create_key(api.parts.storage, "ann", (Scope.READ,), now=datetime.now(UTC))
    page = open_page(f"http://127.0.0.1:{api.settings.port}/#/jobs")
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    assert grave_faults(page) == []
    dialog.get_by_label("Key").fill(token)
    dialog.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("None.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("None.")).to_be_visible()
    page.get_by_role("link", name="Fleet").click()
    expect(page.get_by_text("lacks the scope 'admin'")).to_be_visible()
    assert token not in page.url
    assert page.evaluate("localStorage.length") == 0


def test_the_list_of_jobs_filters_and_pages(
    open_page: OpenPage, stack: Stack, client: Client
) -> None:
    """Newest first; a status asked for is the only one shown; older ones are a click away."""
    for seed in range(22):
        client.submit(TINY, 1, count=1, seed=seed)
    newest = client.wait(client.submit(TINY, 1, count=1, seed=22))
    page = opened(open_page, stack, "#/jobs")
    expect(page.get_by_role("row")).to_have_count(21)
    expect(page.get_by_role("link", name=newest.id[:12])).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    expect(page.get_by_role("link", name=newest.id[:12])).to_have_count(0)
    page.get_by_label("Status").select_option("completed")
    page.wait_for_url(re.compile("status=completed"))
    expect(page.get_by_role("link", name=newest.id[:12])).to_be_visible()
    assert set(page.locator("td .badge").all_inner_texts()) == {"completed"}


def test_a_damaged_archive_is_seen_and_repaired(
    open_page: OpenPage, stack: Stack, client: Client
) -> None:
    """The browser's own sum tells; a repair brings the bytes back."""
    job = client.wait(client.submit(TINY, 6, count=100, seed=1234))
    archive = stack.plan.data_dir.objects / client.manifest(job).shards[0].key
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    page = opened(open_page, stack, f"#/jobs/{job.id}")
    page.get_by_role("button", name="Verify here").click()
    expect(page.get_by_text("DIFFERS")).to_be_visible()
    expect(page.get_by_text("0 of 1 archives have the sha256")).to_be_visible()
    page.get_by_role("button", name="Repair").click()
    expect(page.get_by_text("1 made again with the same bytes")).to_be_visible()
    assert archive.read_bytes() == whole


def test_decoders_explore_and_fleet(open_page: OpenPage, stack: Stack) -> None:
    """Cards with samples, a grid of label and seed, and who works."""
    page = opened(open_page, stack, "#/decoders")
    page.get_by_role("link", name=TINY, exact=True).click()
    await_pictures(page, 80)
    page.get_by_role("link", name="Explore").last.click()
    await_pictures(page, 80)
    page.get_by_label("First seed").fill("1000")
    page.get_by_label("First seed").press("Enter")
    expect(page.get_by_role("columnheader", name="1007")).to_be_visible()
    await_pictures(page, 80)
    page.get_by_role("link", name="Fleet").click()
    expect(page.get_by_role("table", name="Workers").get_by_role("row")).to_have_count(3)
    expect(page.get_by_text("CPUExecutionProvider").first).to_be_visible()


@pytest.mark.parametrize(
    "where", ["new", "jobs", "job", "decoders", "decoder", "explore", "fleet", "nowhere"]
)
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_no_page_keeps_anybody_out(
    open_page: OpenPage, stack: Stack, client: Client, where: str, scheme: str
) -> None:
    """axe finds nothing serious, in light and dark; no page is wider than its window."""
    route = {"job": "jobs/{id}", "decoder": f"decoders/{TINY}"}.get(where, where)
    if "{id}" in route:
        route = route.format(id=client.wait(client.submit(TINY, 3, count=30, seed=8)).id)
    page = opened(open_page, stack, f"#/{route}", color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    assert grave_faults(page) == []
    for width in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) <= 0


def test_the_keyboard_is_enough(open_page: OpenPage, stack: Stack) -> None:
    """Skip the head, fill the form in, send it: no pointer is needed, and the focus is told."""
    page = opened(open_page, stack)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Decoder")).to_be_focused()
    page.keyboard.type(TINY)
    page.get_by_label("Images", exact=True).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#/jobs/"))
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_text("20 of 20 images")).to_be_visible()


def test_an_api_that_is_away_is_told_and_found_again(open_page: OpenPage, stack: Stack) -> None:
    """A page that could not be read says so and offers to try again."""
    page = opened(open_page, stack)
    page.context.set_offline(True)
    page.get_by_role("link", name="Decoders").click()
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name=TINY, exact=True)).to_be_visible()
