"""`python -m tests.screenshots FOLDER`: the console's pages as README shows them, from a service of its own."""

import sys
import tempfile
from pathlib import Path

from latentmill import Client
from playwright.sync_api import Browser, sync_playwright

from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, running
from tests.fixtures.chromium import installed_chromium

MIX = {"3": 20_000, "5": 5_000, "8": 10_000}


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        plan = Plan(DataDir(Path(scratch)), "127.0.0.1", free_port(), workers=2)
        with running(plan) as stack, Client(stack.url) as client, sync_playwright() as playwright:
            job = client.wait(client.submit("mnist", labels=MIX, seed=42))
            browser = playwright.chromium.launch(
                executable_path=installed_chromium(), args=["--no-sandbox", "--disable-gpu"]
            )
            form = "#/new?decoder=mnist&label=7&count=50000&seed=42"
            shoot(browser, f"{stack.url}/{form}", folder / "new.png", "light")
            shoot(browser, f"{stack.url}/#/jobs/{job.id}", folder / "job.png", "dark")
            browser.close()


def shoot(browser: Browser, url: str, path: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 760}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.locator(".sample img:not(.late)").nth(11).wait_for()
    page.wait_for_load_state("networkidle")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
