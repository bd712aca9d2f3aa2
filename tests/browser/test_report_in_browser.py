"""The report in a browser: everything is drawn, nothing is fetched, on a phone and on paper, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser_pages import draw_all, hostile_run, overflow, page_of, pick_everything, samples, small_run, unsound

KINDS = ("run", "none", "one", "many", "result", "hostile")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths that a report can be of."""
    folder = tmp_path_factory.mktemp("samples")
    return {
        "run": small_run(folder / "run"),
        "hostile": hostile_run(folder / "hostile"),
        **samples(folder),
    }


@pytest.fixture(scope="module")
def report(found: dict[str, Path], tmp_path_factory: pytest.TempPathFactory):
    """The page of a sample, made once."""
    folder = tmp_path_factory.mktemp("pages")

    def make(kind: str, language: str = "en") -> Path:
        out = folder / f"{kind}-{language}.html"
        return out if out.exists() else page_of(found[kind], out, language)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_drawn_and_nothing_sticks_out_on_a_phone(kind, report, visit, screenshot):
    for width in (1100, 390) if kind in ("run", "many", "hostile") else (390,):
        page = visit(report(kind), width=width)
        charts = draw_all(page)
        assert not unsound(charts)
        assert bool(charts) == (kind != "none") or kind == "one"
        assert not overflow(page)
        if width == 390:
            pick_everything(page)
            assert not overflow(page)
        screenshot(page, f"{kind} {width}")


def test_in_japanese_and_dark(report, visit, screenshot):
    """In English and light it is above."""
    page = visit(report("run", "ja"), scheme="dark")
    assert not unsound(draw_all(page))
    assert page.locator("html").get_attribute("lang") == "ja"
    assert pick_everything(page) >= 0
    screenshot(page, "run ja dark")
