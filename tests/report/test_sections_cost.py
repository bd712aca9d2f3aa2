"""The cost on the page: what `narrows plan` says, in words and rows that the script gives to the letter as well."""

from __future__ import annotations

import json
import random
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from analysis_samples import empty_store, result
from narrows.analysis.assumptions import Assumptions, told_assumptions
from narrows.analysis.plan import Figures, plan
from narrows.analysis.subject import open_subject
from narrows.report import write_report
from narrows.report.blocks import Calculator, Notice, Table
from narrows.report.facts import Facts
from narrows.report.plan_outcome import outcome
from narrows.report.sections import cost as section_module
from narrows.report.sections.cost import cost, words_of
from narrows.report.texts import LANGUAGES, Texts

ASSETS = Path(section_module.__file__ if hasattr(section_module, "__file__") else cost.__code__.co_filename).parents[1]
NODE = compute_driver_executable()[0]  # Node, which Playwright brings along
FIGURES = Figures(5, 4e7, 5e7, 4e7, 6e6, 2e6, 1e3, 0.5, 1.1, 12)


def calculator(facts: Facts, say: Texts) -> Calculator:
    return next(block for block in cost(facts, say).blocks if isinstance(block, Calculator))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_what_the_plan_says(shop: Path, language: str):
    say, facts = Texts(language), Facts(open_subject(shop))
    found = calculator(facts, say)
    assumptions = Assumptions()
    expected = outcome(plan(facts.figures.figures, assumptions), assumptions, words_of(say))
    assert (found.table.rows, found.details.rows, found.sentences) == (
        expected.summary, expected.months, expected.sentences,
    )  # fmt: skip
    assert found.data["figures"] == asdict(facts.figures.figures)
    assert {field[0]: field[3] for field in found.fields} == asdict(assumptions)
    assert not any("{" in sentence for sentence in found.sentences)


def test_every_assumption_has_a_field_with_its_bounds(shop: Path, tmp_path: Path):
    html = write_report(shop, tmp_path / "report.html").read_text()
    for told in told_assumptions():
        (field,) = re.findall(rf'<input[^>]* id="plan-{told.name}"[^>]*>', html)
        assert f'name="{told.name}"' in field
        assert ("required" in field) is not told.optional
        assert f'min="{told.low:g}"' in field
    for what in ("reset", "json", "csv"):
        assert html.count(f'data-do="{what}"') == 1


def test_every_measured_figure_has_a_source(shop: Path):
    facts = Facts(open_subject(shop))
    table = next(block for block in cost(facts, Texts()).blocks if isinstance(block, Table))
    assert len(table.rows) == len(asdict(facts.figures.figures))
    assert all(cell for row in table.rows for cell in row)
    for name, row in zip(asdict(facts.figures.figures), table.rows, strict=True):
        assert row[2].startswith("assumed") is (name in facts.figures.assumed)


def test_where_figures_come_from_is_said_in_the_readers_language(shop: Path, tmp_path: Path):
    result(6).save(tmp_path / "result.json")
    for path in (shop, tmp_path / "result.json"):
        facts, ascii_only = Facts(open_subject(path)), re.compile(r"[\x00-\x7f]*\Z")
        table = next(block for block in cost(facts, Texts("ja")).blocks if isinstance(block, Table))
        plain = [row[2] for row in table.rows if ascii_only.match(row[2])]
        assert all(re.fullmatch(r"\S+\.json \S+", source) for source in plain), plain  # a file and a key in it


def test_a_result_by_itself_has_a_plan_and_an_empty_store_none(tmp_path: Path):
    result(3).save(tmp_path / "result.json")
    assert calculator(Facts(open_subject(tmp_path / "result.json")), Texts("ja")).sentences
    section = cost(Facts(open_subject(empty_store(tmp_path / "s").path)), Texts())
    assert [type(block) for block in section.blocks] == [Notice]


def cases() -> list[dict]:
    chance = random.Random(0)
    found = [{"figures": asdict(FIGURES), "assumptions": asdict(Assumptions())}]
    for _ in range(40):
        figures = {name: value * chance.uniform(0.01, 300) for name, value in asdict(FIGURES).items()}
        figures |= {"tasks": chance.randint(1, 30), "tasks_per_network": chance.choice([None, 1, 7, 40])}
        figures["step_ratio"] = chance.uniform(0.5, 3)
        assumed = Assumptions(
            tasks_per_month=chance.choice([0, 0.5, 3, 40]),
            months=chance.choice([1, 12, 60]),
            packed=chance.randint(0, 1),
            price_memory_gb_month=chance.choice([0, 0.125, 4.0, 1000.0]),
            price_gpu_hour=chance.choice([0, 2.5, 1000]),
            setup_hours=chance.choice([0, 0.5, 40]),
            upkeep_hours=chance.choice([0, 0.1, 5]),
        )
        found.append({"figures": figures, "assumptions": asdict(assumed)})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_says_the_same_to_the_letter(language: str):
    words, kinds = words_of(Texts(language)), set()
    program = (
        "require(process.argv[1]); require(process.argv[2]);"
        "const {cases, words} = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map(c => globalThis.narrowsPlanTexts("
        "globalThis.narrowsPlan(c.figures, c.assumptions), c.assumptions, words))));"
    )
    command = [NODE, "-e", program, str(ASSETS / "assets/plan.js"), str(ASSETS / "assets/calculator.js")]
    asked = json.dumps({"cases": cases(), "words": words})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for case, found in zip(cases(), json.loads(done.stdout), strict=True):
        assumptions = Assumptions(**case["assumptions"])
        expected = outcome(plan(Figures(**case["figures"]), assumptions), assumptions, words)
        assert found["summary"] == [list(row) for row in expected.summary]
        assert found["months"] == [list(row) for row in expected.months]
        assert found["sentences"] == list(expected.sentences)
        assert [point["shown"] for point in found["points"]] == [point["shown"] for point in expected.points]
        kinds |= {name for name in words if name.startswith("say_") for text in found["sentences"]
                  if text.startswith(words[name].partition("{")[0]) and words[name].partition("{")[0]}  # fmt: skip
    assert {"say_payback", "say_never"} <= kinds or language == "ja"
