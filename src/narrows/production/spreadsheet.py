"""Texts in a CSV file that a spreadsheet opens: none of them is a formula, and a program gets them back.

`report/assets/csv.js` does the same for tables of a page; a test holds both to the same cases.
"""

from __future__ import annotations

import re

_BEFORE = r"[\x00-\x20\x7f-\xa0'\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000\ufeff]*"
_STARTS = re.compile(_BEFORE + r"[=+\-@\uff1d\uff0b\uff0d\uff20][\s\S]")
_NUMBER = r"[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?%?"
_NUMBERS = re.compile(rf"{_NUMBER}(?: ± {_NUMBER})?")


def cell(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would take it for a formula; a number is none.

    Blanks and apostrophes before the sign do not hide it, so `text_of` gives back what it was.

    >>> cell("=1+1"), cell("-1+cmd|'/c calc'!A1"), cell("-1.5"), cell("'=x"), cell("red")
    ("'=1+1", "'-1+cmd|'/c calc'!A1", '-1.5', "''=x", 'red')
    """
    return f"'{text}" if _STARTS.match(text) and not _NUMBERS.fullmatch(text) else text


def text_of(cell: str) -> str:
    """The text of a `cell`.

    >>> text_of("'=1+1"), text_of("'tis"), text_of("-1.5")
    ('=1+1', "'tis", '-1.5')
    """
    return cell[1:] if cell[:1] == "'" and _STARTS.match(cell) else cell
