"""The page of a real comparison in a browser: every chart, on a phone, in both languages, light and dark, and live."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser_pages import HOSTILE, draw_all, overflow, page_of, pick_everything, unsound, violations
from grids import OPTIONS, Shop, learns
from narrows.benchmarks.compare import parse_variants
from narrows.report.follow import Follower
from page_server import serving

GRID = replace(OPTIONS, variants=parse_variants("ibm,wsn:density=0.1"), seeds=(0, 1), epochs=(1, 2), tune=2)
CHARTS = {"front-density", "front-bytes", "grown-used", "by-task", "times", "tuning-rates"}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a grid whose runs were trained."""
    out = tmp_path_factory.mktemp("grid")
    Shop(learns(out, GRID)).run(out, GRID)
    return out


@pytest.fixture(scope="module")
def pages(grid: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Its page in each language, and that of a comparison of many methods with hostile names, in part damaged."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "hostile.json").write_text(json.dumps(hostile(json.loads((grid / "compare.json").read_text()))))
    return {
        **{language: page_of(grid, folder / f"{language}.html", language) for language in ("en", "ja")},
        "hostile": page_of(folder / "hostile.json", folder / "hostile.html"),
    }


def hostile(data):
    """Three rows of each name, cut short and damaged here and there."""
    like = data["rows"][1]
    data["rows"] = [
        like | {"label": f"{name}{more}", "tasks": list(HOSTILE[:2])} for more in ("", " 2", " 3") for name in HOSTILE
    ]
    data["rows"][3] = data["rows"][3] | {"accuracy": 1}
    for run, row in zip(data["runs"], data["rows"], strict=False):
        run["label"] = row["label"]
    return data | {"failures": [{"job": name, "reason": name} for name in HOSTILE], "left": 5}


@pytest.mark.parametrize(
    ("which", "width", "scheme"),
    [("en", 1100, "light"), ("ja", 390, "light"), ("hostile", 1100, "dark"), ("hostile", 390, "dark")],
)
def test_every_chart_is_drawn_and_nothing_sticks_out(which, width, scheme, pages, visit, screenshot):
    page = visit(pages[which], width=width, scheme=scheme)
    drawn = draw_all(page)
    assert {chart["key"] for chart in drawn} >= CHARTS
    assert not unsound(drawn)
    assert not overflow(page)
    assert pick_everything(page)
    assert not overflow(page)
    screenshot(page, f"comparison {which} {width} {scheme}")


@pytest.mark.parametrize(("which", "scheme"), [("en", "dark"), ("en", "light")])
def test_it_is_accessible(which, scheme, pages, visit):
    page = visit(pages[which], scheme=scheme)
    draw_all(page)
    for details in page.locator("details:visible").all():
        details.evaluate("(element) => { element.open = true; }")
    assert not violations(page)


def test_a_method_has_one_colour_in_all_charts(pages, visit):
    page = visit(pages["en"])
    draw_all(page)
    colours = page.evaluate(
        """[...document.querySelectorAll('.plot')].flatMap((plot) =>
            [...plot.querySelectorAll('.role-legend-entry .role-scope')].flatMap((scope) =>
                [...scope.querySelectorAll(':scope > g')].map((entry) => [
                    entry.querySelector('text')?.textContent,
                    entry.querySelector('.role-legend-symbol path')?.getAttribute('fill')])))
            .filter(([name]) => name && /^[0-9]/.test(name))"""
    )
    names = {name for name, _ in colours}
    assert names >= {"1 ibm", "2 wsn density=0.1", "3 independent"}
    assert len({tuple(pair) for pair in colours}) == len(names)


def test_names_stand_beside_points_and_numbers_on_a_phone(pages, visit):
    for width, text in ((1100, "2 wsn density=0.1"), (390, "2")):
        page = visit(pages["en"], width=width)
        draw_all(page)
        marks = page.locator("#chart-front-density .mark-text.role-mark text").all_text_contents()
        assert text in marks


def test_the_table_is_saved_as_csv(pages, visit):
    page = visit(pages["en"])
    with page.expect_download() as download:
        page.locator("#methods button.csv").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].startswith('"Method","Epochs","Seeds"')
    assert len(text.splitlines()) == 1 + 3 * 2


def test_it_changes_as_the_grid_goes_on(grid, visit, tmp_path):
    whole = json.loads((grid / "compare.json").read_text())
    part = whole | {"rows": whole["rows"][:2], "left": 4, "complete": False}
    file = tmp_path / "compare.json"
    file.write_text(json.dumps(part))
    follower = Follower(tmp_path, pause=0.05)
    follower.look()
    with serving(follower, following=True) as server:
        page = visit(server.address)
        expect(page.locator("#methods tbody tr")).to_have_count(2)
        expect(page.locator("#live")).to_contain_text("Jobs left")
        assert not unsound(draw_all(page))
        file.with_suffix(".new").write_text(json.dumps(whole))
        file.with_suffix(".new").replace(file)
        expect(page.locator("#methods tbody tr")).to_have_count(6, timeout=60_000)
        expect(page.locator("#live")).to_contain_text("Everything is done", timeout=60_000)
        assert not unsound(draw_all(page))
        page.close()  # before its server ends, of which it would complain
