"""The page's own scripts and styles run; whatever else may get into its file, or its server's answers, does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from analysis_samples import random_store
from browser_pages import draw_all, page_of, unsound

INJECTED = {
    "script": "<script>window.ran = 'script'</script>",
    "handler": "<img src=data: alt='' onerror=\"window.ran = 'handler'\">",
    "link": "<a id=trap href=\"javascript:window.ran = 'link'\">here</a>",
    "style": "<style>body { display: none }</style>",
    "attribute": '<p id=styled style="position: fixed">over it all</p>',
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    random_store(folder / "store", 3)
    return page_of(folder / "store", folder / "report.html")


def test_what_was_put_in_does_not_run(report: Path, tmp_path: Path, browser: Browser) -> None:
    html = report.read_text(encoding="utf-8")
    injected = "".join(INJECTED.values())
    (tmp_path / "injected.html").write_text(html.replace('<main id="content">', f'<main id="content">{injected}'))
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.goto((tmp_path / "injected.html").as_uri())
    page.locator("#trap").click()
    assert page.locator("h1").is_visible()
    assert page.evaluate("window.ran ?? 'nothing'") == "nothing"
    assert page.locator("#styled").evaluate("(element) => getComputedStyle(element).position") == "static"
    assert not unsound(draw_all(page))
    assert len([text for text in refused if "Content Security Policy" in text]) >= len(INJECTED)
    page.close()


def test_the_page_s_own_styles_hold_for_what_vega_draws(report: Path, visit) -> None:
    page = visit(report)
    assert "unsafe-inline" not in page.locator("meta[http-equiv]").get_attribute("content")
    assert not unsound(draw_all(page))
    page.locator(".plot svg .mark-rect path, .plot svg .mark-symbol path").locator("visible=true").first.hover()
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_be_visible()
    assert tooltip.evaluate("(element) => getComputedStyle(element).position") == "fixed"
