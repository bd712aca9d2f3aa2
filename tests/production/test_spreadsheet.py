"""No text in a CSV file is a formula, by one rule in Python and on a page; every text can be had back."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright._impl._driver import compute_driver_executable

import narrows
from narrows.production.spreadsheet import cell, text_of

NUMBERS = ["0", "-1", "+2.5", "-1.5e-07", ".5", "-.5", "1,234", "-12.5%", "-0.8 ± 0.2", "1e5"]
TEXTS = ["", "-", "+", "red", "row 3", "photos/a=b.png", "'tis", "3-1", "1+1", "日本", "a\nb", 'say "x", y', "nan"]
FORMULAS = [
    "=1+1",
    "-1+cmd|'/c calc'!A1",
    '+1+HYPERLINK("http://x")',
    "@SUM(A1)",
    "-2+3",
    "-0.8 ± =1",
    "--1",
    "-e5",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u3000=1",
    "\ufeff=1",
    "\u200b=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "'=1",
    "''=1",
    "-1\n",
    "-1\n=2",
    "- milk",
    "-\u0661",
]
CASES = [*NUMBERS, *TEXTS, *FORMULAS]
SCRIPT = Path(narrows.__file__).parent / "report/assets/csv.js"


@pytest.mark.parametrize("text", [*NUMBERS, *TEXTS])
def test_numbers_and_texts_stay_as_they_are(text):
    assert cell(text) == text == text_of(text)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_would_be_a_formula_has_an_apostrophe_before_it(text):
    assert cell(text) == f"'{text}"


@given(st.text(alphabet=st.sampled_from("'=+-@ \t\n1.,e%±a日\u3000\ufeff"), max_size=6) | st.text())
def test_every_text_can_be_had_back(text):
    assert text_of(cell(text)) == text


def test_a_page_writes_the_same_and_only_numbers_without_quotation_marks():
    program = (
        "require(process.argv[1]);"
        "console.log(JSON.stringify(globalThis.narrowsCsv(JSON.parse(require('fs').readFileSync(0)))))"
    )
    node = [compute_driver_executable()[0], "-e", program, str(SCRIPT)]
    done = subprocess.run(
        node, input=json.dumps([[case] for case in CASES]), capture_output=True, text=True, check=True
    )
    page = json.loads(done.stdout)
    assert [row[0] for row in csv.reader(page.splitlines(keepends=True))] == [cell(case) for case in CASES]
    for text in CASES:
        bare = text in NUMBERS and "," not in text
        assert (f"\n{text}\n" if bare else '\n"' + cell(text).replace('"', '""') + '"\n') in f"\n{page}"
