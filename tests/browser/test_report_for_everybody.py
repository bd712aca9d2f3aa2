"""The report without eyes, without a mouse, without JavaScript, on paper and in a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from analysis_samples import random_store, result, task_row
from browser_pages import draw_all, overflow, page_of, unsound, violations
from narrows.benchmarks.results import Result
from narrows.report import blocks as b
from narrows.report.render import render


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory):
    """The page of a run with a result and a store, in each language."""
    folder = tmp_path_factory.mktemp("run")
    random_store(folder / "store", 4)
    measured().save(folder / "result.json")
    return {language: page_of(folder, folder / f"{language}.html", language) for language in ("en", "ja")}


def measured(tasks: int = 4) -> Result:
    found = result(tasks)
    rows = [task_row(f"task {i}", accuracy=0.9, accuracy_now=0.9, used=0.1 * (i + 1)) for i in range(tasks)]
    return replace(found, tasks=rows)


def every_block() -> str:
    """A page with a block of each kind, beside what sections happen to use."""
    source = (b.Citation("result.json", "R"),)
    table = b.Table(
        "Numbers", "What they are.", "n", source, ("name", "value"), (("a", "1"), ("b", None)), frozenset({1})
    )
    picture = b.Image(_png(), "a grey square", 40, 40, "grey")
    calculator = b.Calculator(
        "Cost",
        "What it costs.",
        "",
        source,
        "cost",
        "none",
        {},
        (("n", "Tasks", "per month", 3.0, "How many."),),
        {},
        table,
    )
    parts = (
        b.Stats(
            (b.Stat("Tasks", "How many.", "T", source, "3", "good"), b.Stat("Left", "Free.", "", source, "1", "bad"))
        ),
        table,
        replace(table, title="Folded", folded=True),
        b.Notice("Careful.", "warn", "narrows run"),
        b.Notice("Broken.", "bad"),
        b.Notice("Fine.", "good"),
        b.Pictures("Weights", "What is kept.", "", source, (picture,), (("var(--kept)", "kept"),)),
        b.Selector(
            "task", "Task", (("first", (replace(table, title="One"),)), ("second", (replace(table, title="Two"),)))
        ),
        calculator,
    )
    section = b.Section("parts", "Parts", "All of them.", parts)
    return render(b.Page("Every block", "One of each.", "en", (section,), ("note",)))


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4), 128).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("which", "scheme"), [("ja", "dark"), ("blocks", "light"), ("blocks", "dark")])
def test_it_is_accessible(which, scheme, report, visit, tmp_path):
    file = tmp_path / "blocks.html"
    file.write_text(every_block())
    page = visit(file if which == "blocks" else report[which], scheme=scheme)
    draw_all(page)
    for details in page.locator("details:visible").all():
        details.evaluate("(element) => { element.open = true; }")
    assert not violations(page)


def test_headings_go_down_one_step_at_a_time(report, visit):
    levels = visit(report["en"]).evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(visit, tmp_path):
    file = tmp_path / "blocks.html"
    file.write_text(every_block())
    page = visit(file)
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """(() => { const all = [...document.querySelectorAll('*')], at = document.activeElement;
            return at === document.body ? null : [all.indexOf(at), at.tagName, at.id || at.className]; })()"""
        )
        if place is None or place[0] in (there[0] for there in reached):
            break
        reached.append(place)
    assert [place for place, _, _ in reached] == sorted(place for place, _, _ in reached)
    assert reached[0][2] == "skip"
    tags = [tag for _, tag, _ in reached]
    assert {"A", "SELECT", "SUMMARY", "BUTTON", "INPUT", "DIV"} <= set(tags)  # DIV: tables that scroll
    page.keyboard.press("Home")
    page.locator("select").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".option:visible h3.picked").text_content() == "second"


def test_the_skip_link_is_seen_and_leads_to_the_content(report, visit):
    page = visit(report["en"])
    page.keyboard.press("Tab")
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")


def test_on_paper_everything_is_there_in_black_on_white(report, visit, screenshot, tmp_path):
    page = visit(report["en"], scheme="dark")
    page.emulate_media(media="print")
    assert not unsound(draw_all(page))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert not overflow(page)
    screenshot(page, "print")
    paper = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert paper.startswith(b"%PDF")


def test_without_javascript_the_numbers_are_in_tables(report, visit, screenshot):
    page = visit(report["en"], javascript=False)
    assert page.locator("noscript p").is_visible()
    for figure in page.locator("figure.chart").all():
        assert figure.locator("table tbody tr").count() > 0
    screenshot(page, "without javascript")


def test_without_javascript_every_option_of_a_choice_is_shown(visit, tmp_path):
    file = tmp_path / "blocks.html"
    file.write_text(every_block())
    page = visit(file, javascript=False)
    assert page.locator(".option:visible").count() == 2
    assert not page.locator("select:visible, input:visible, button:visible").count()  # they would do nothing


def test_a_table_is_saved_as_csv_with_its_numbers(report, visit):
    page = visit(report["en"])
    for details in page.locator("details:visible").all():
        details.evaluate("(element) => { element.open = true; }")
    buttons = page.locator("button.csv:visible")
    assert buttons.count()
    for button in buttons.all()[:9]:  # Chromium drops what a page saves beyond ten files a second
        shown = button.evaluate(
            """(button) => [...button.previousElementSibling.querySelectorAll('tr')]
            .map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"""
        )
        with page.expect_download() as saved:
            button.click()
        assert saved.value.suggested_filename.endswith(".csv")
        with open(saved.value.path(), encoding="utf-8-sig", newline="") as file:
            assert list(csv.reader(file)) == shown


def test_a_name_is_no_formula_in_a_spreadsheet(visit, tmp_path):
    names = {"=1+1": "'=1+1", "+cmd": "'+cmd", "@x": "'@x", "-x": "'-x"}
    as_they_are = ("-", "-2", "-2.5%", "+3.1", "-.5", 'a, "b"', "日本")
    names |= {name: name for name in as_they_are}
    table = b.Table("T", "", "", (), ("name",), tuple((name,) for name in names))
    file = tmp_path / "page.html"
    file.write_text(render(b.Page("p", "", "en", (b.Section("s", "s", "", [table]),))))
    page = visit(file)
    with page.expect_download() as saved:
        page.locator("button.csv").click()
    with open(saved.value.path(), encoding="utf-8-sig", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["name", *names.values()]


def test_all_numbers_are_saved_as_json(visit, tmp_path):
    file = tmp_path / "blocks.html"
    file.write_text(every_block())
    page = visit(file)
    with page.expect_download() as saved:
        page.locator("#download").click()
    found = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    (section,) = found["sections"]
    assert section["figures"][0] == {"title": "Tasks", "value": "3", "sources": ["result.json: R"]}
    assert {"title": "Numbers", "rows": [["name", "value"], ["a", "1"], ["b", "-"]]} in section["tables"]
    assert len(section["tables"]) == page.locator("main table").count()


def test_no_text_was_left_unfilled(report, visit):
    for file in report.values():
        text = visit(file).locator("body").inner_text()
        assert not re.search(r"\{\w+\}|\bNone\b|\bnan\b|undefined", text)
