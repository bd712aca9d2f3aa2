"""Columns of text that are numbers or dates but for some of their rows, which is to be said. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import get_args

from narrows.data.spelling import WORDS, Form, Spelling, find

_DATES = [Spelling(form) for form in get_args(Form)[2:]]
_LIKE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.](?:\d{1,2}[-/.])?\d{4}|\d{1,2}[. -]+[^\W\d_]{3,}\.?[ -]\d{4})"
    r"(?:[T ].*)?"
)
"""What looks like a date, also of a month, or of a day that there is not."""


def nearly(counts: Mapping[str, int]) -> str:
    """Of which form at least half of the rows or of the texts are, and the first that is not; "" where none is.

    Args:
        counts: the rows that have each text, in their order; a column that spells no numbers or dates as a whole.

    >>> nearly({"1.5": 3, "#DIV/0!": 1, "2": 1})[:51]
    "4 of 5 rows are numbers, and '#DIV/0!' is the first"
    """
    present = [text for text in counts if text not in WORDS]
    short = [text for text in present if len(text) <= 60 and any(map(str.isdigit, text))]

    def rows(texts: Collection[str]) -> int:
        return sum(counts[text] for text in texts)

    def most(texts: Collection[str]) -> bool:
        return 2 * rows(texts) >= rows(present) > 0 or 2 * len(texts) >= len(present) > 0

    def that(reads: Callable[[str], object]) -> list[str]:
        return [text for text in short if reads(text)]

    dates = that(lambda text: _LIKE.fullmatch(text) or any(_fits(form, text) for form in _DATES))
    numbers = that(_is_number)
    if most(dates) and rows(dates) >= rows(numbers):
        form, found = max(
            ((form, that(partial(_fits, form))) for form in _DATES),
            key=lambda one: rows(one[1]),
        )
        what = f"dates ({form.form})" if found else "like dates"
        found = found or dates
        read = set(found)
        first = next((text for text in present if text not in read), present[0])
    elif most(numbers) and len(numbers) < len(present) and find(numbers).spelling is not None:
        read = set(numbers)
        found, what, first = numbers, "numbers", next(text for text in present if text not in read)
    else:
        return ""
    return (
        f"{rows(found)} of {rows(present)} rows are {what}, and {first!r} is the first that cannot be read as such. "
        "Bring them to one form that can be read, or leave such cells empty"
    )


def _fits(form: Spelling, text: str) -> bool:
    return form.read(text) is not None


def _is_number(text: str) -> bool:
    spelling = find([text]).spelling
    return spelling is not None and not spelling.is_date
