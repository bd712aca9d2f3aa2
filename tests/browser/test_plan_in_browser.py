"""The calculator of costs in a browser: the reader changes an assumption, and the page says what `plan` says."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analysis_samples import random_store, result
from browser_pages import page_of
from narrows.analysis.assumptions import Assumptions
from narrows.analysis.plan import Plan, plan, to_csv
from narrows.analysis.subject import open_subject
from narrows.report.facts import Facts
from narrows.report.plan_outcome import outcome
from narrows.report.sections.cost import words_of
from narrows.report.texts import Texts

CHANGED = {"tasks_per_month": 3, "months": 6, "price_gpu_hour": 12.5, "setup_hours": 0}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    random_store(tmp_path / "run/store", 4)
    result(4).save(tmp_path / "run/result.json")
    return tmp_path / "run"


def change(page: Page) -> None:
    for name, value in CHANGED.items():
        page.fill(f"#plan-{name}", str(value))


def expected(shop: Path) -> tuple[Plan, Assumptions]:
    assumptions = Assumptions(**CHANGED)
    return plan(Facts(open_subject(shop)).figures.figures, assumptions), assumptions


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_changed_assumption_changes_the_sentences_and_the_tables(shop, tmp_path, visit, language):
    page = visit(page_of(shop, tmp_path / "page.html", language))
    change(page)
    say = outcome(*expected(shop), words_of(Texts(language)))
    expect(page.locator(".sentences li")).to_have_text(list(say.sentences))
    rows = page.locator('[data-table="months"] tbody tr')
    expect(rows).to_have_count(len(say.months))
    assert [tuple(row.locator("th, td").all_text_contents()) for row in rows.all()] == list(say.months)
    page.locator('button[data-do="reset"]').click()
    expect(page.locator("#plan-months")).to_have_value(str(Assumptions().months))
    expect(rows).to_have_count(Assumptions().months)


def test_the_plan_is_saved_with_its_assumptions(shop, tmp_path, visit):
    page = visit(page_of(shop, tmp_path / "page.html"))
    change(page)
    made, assumptions = expected(shop)
    expect(page.locator('[data-table="months"] tbody tr')).to_have_count(assumptions.months)
    saved = {}
    for kind in ("json", "csv"):
        with page.expect_download() as download:
            page.locator(f'button[data-do="{kind}"]').click()
        saved[kind] = Path(download.value.path()).read_text()
    found = json.loads(saved["json"])
    assert found["assumptions"] == asdict(assumptions)
    assert found["plan"] == json.loads(json.dumps(asdict(made)))
    head, *rows = csv.reader(saved["csv"].splitlines())
    own_head, *own_rows = csv.reader(to_csv(made).splitlines())
    assert head == own_head
    assert [[float(cell) for cell in row] for row in rows] == [[float(cell) for cell in row] for row in own_rows]


def test_what_is_no_assumption_is_said_and_changes_nothing(shop, tmp_path, visit):
    page = visit(page_of(shop, tmp_path / "page.html"))
    expect(page.locator(".plan-chart svg")).to_be_visible()
    before = page.locator(".sentences").text_content()
    page.fill("#plan-months", "0")
    expect(page.locator(".problem")).to_be_visible()
    expect(page.locator("#plan-months")).to_have_attribute("aria-invalid", "true")
    assert page.locator(".sentences").text_content() == before
