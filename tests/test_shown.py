"""Every text is shown as one line that does nothing to a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.shown import shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[2J\x07\x00\r\n\t", r"\x1b[2J\x07\x00\r\n\t"),
        ("\x9b2J\x7f\x85", r"\x9b2J\x7f\x85"),
        ("a\u202eb\u2066c\u200f", r"a\u202eb\u2066c\u200f"),
        ("a\u200bb\u200dc\u2060d\ufeffe\u00adf", r"a\u200bb\u200dc\u2060d\ufeffe\xadf"),
        ("a\u3164b\u115fc\ufe0fd\u2028e\u2029", r"a\u3164b\u115fc\ufe0fd\u2028e\u2029"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("a\udc9bb\udc80\ud800", r"a\x9bb\x80\ud800"),
    ],
)
def test_what_is_not_seen_stands_by_its_number(text, line):
    assert shown(text) == line


@pytest.mark.parametrize(
    "text", ["größe ≈ 二", "[bold]:fire:[/]", "C:\\new", "e\u0301", "👍", "日本\u3000語", "l\udcf8den"]
)
def test_what_is_seen_stays(text):
    assert shown(text) == text


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text):
    categories = {unicodedata.category(sign) for sign in shown(text) if not "\udca0" <= sign <= "\udcff"}
    assert not categories & {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
