"""A real browser: a page that fails its test where it complains, or asks for anything that is not in it.

Chromium is looked for on PATH. Without one these tests are skipped, or fail with NARROWS_BROWSER=required, as in CI.
Screenshots are kept in the folder that NARROWS_SCREENSHOTS names, if it does.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from browser_pages import listen

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, PHONE = 1100, 390
"""Widths in CSS pixels that pages are looked at."""

Visit = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """For this folder only: Playwright keeps an event loop running, which other tests must not meet."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        reason = f"No browser is on PATH (looked for {', '.join(NAMES)}): apt-get install chromium"
        if os.environ.get("NARROWS_BROWSER") == "required":
            pytest.fail(f"{reason}. NARROWS_BROWSER=required is set.")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages, each in an empty profile: visit(file or address, width=, scheme=, javascript=).

    A test in which one says a warning or an error on its console, throws, or asks for what is not in the page, fails.
    """
    complaints: list[str] = []
    contexts = []

    def open_page(where: Path | str, *, width: int = WIDE, scheme: str = "light", javascript: bool = True) -> Page:
        address = where.as_uri() if isinstance(where, Path) else where
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        listen(page, address, complaints)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """Keeps a picture of the whole page, named after what is shown: for people to look at."""
    folder = os.environ.get("NARROWS_SCREENSHOTS")

    def take(page: Page, what: str) -> None:
        if folder:
            name = re.sub(r"[^A-Za-z0-9]+", "-", what).strip("-")
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, animations="disabled")

    return take
