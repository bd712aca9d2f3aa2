"""Numbers and dates that are spelled as text: found from a whole column, kept as plain values, read so ever after.

Knows no files and no columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, get_args

from narrows.errors import DataError

Form = Literal[
    ".",
    ",",
    "YYYY-MM-DD",
    "YYYY/MM/DD",
    "DD.MM.YYYY",
    "DD.MM.YY",
    "DD/MM/YYYY",
    "MM/DD/YYYY",
    "DD/MM/YY",
    "MM/DD/YY",
    "DD-MM-YYYY",
    "MM-DD-YYYY",
    "DD Mon YYYY",
    "DD-Mon-YYYY",
    "Mon DD, YYYY",
]
"""How a number or date is written: by its decimal mark, or by the order of day, month and year."""

MISSING = frozenset(("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL"))
"""What stands for a missing number wherever numbers are read."""
WORDS = MISSING | {"-", "--", "\u2013", "\u2014", "?", ".", "na", "n.a.", "N.A.", "<NA>", "none", "None", "NONE", "NaT"}
"""The same, and what does so only in a column of numbers that are text."""

MICROSECONDS = 86_400_000_000
"""In a day."""

_CODES = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "Mon": "%b"}
_DATES = {form: re.sub("|".join(_CODES), lambda part: _CODES[part.group()], form) for form in get_args(Form)[2:]}
_TIME = re.compile(
    r"^(.+?)(?:T|,? +)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?([AaPp])[Mm])?(Z| ?[+-]\d\d:?\d\d)?$"
)

_MONEY = (
    r"(?:[A-Za-z]{0,3}[$¢£¤¥฿\u20a0-\u20cf]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY"
    r"|BRL|MXN|ZAR|KRW|SGD|HKD)\b|Rs\.?|Fr\.|kr\.?)"
)
_PARTS = re.compile(
    rf"^(?P<sign>[-+]?) *(?P<before>{_MONEY}?) *(?P<inner>[-+]?) *"
    r"(?P<number>[\d.,](?:[\d.,' ]*[\d.,])?(?:[eE][-+]?\d+)?) *"
    r"(?P<after>(?:[^\W\d_]|[%‰°$¢£¤¥฿\u20a0-\u20cf])[^\d,;:'()]{0,11})?$"
)
_BRACKETED = re.compile(r"^([^()\d]*)\(([^()]*\d[^()]*)\)([^()\d]*)$")
_NUMBER = {
    form: re.compile(
        rf"^(?:(?P<whole>\d+|[1-9]\d{{0,2}}(?P<mark>[{marks}])(?:\d{{2,3}}(?P=mark))*\d{{3}})(?:[{form}]\d*)?|[{form}]\d+)"
        r"(?:[eE][-+]?\d+)?$"
    )
    for form, marks in ((".", ",' "), (",", ".' "))
}


_SIMPLE = {form: re.compile(rf"[-+]?\d+(?:[{form}]\d*)?") for form in (".", ",")}
"""What most numbers look like: read at once, as the whole would read it."""
_ALIKE = str.maketrans("23456789", "11111111")
"""Numbers that differ in these digits alone are spelled alike."""


@dataclass(frozen=True)
class Spelling:
    """How the numbers of a column are spelled.

    Attributes:
        form: the decimal mark, or how dates are written, which are days since 1970-01-01, times their fractions.
        unit: what stands beside the numbers ("$", "%", "kg"); "" where nothing does.

    >>> Spelling(".", "$").read("$1,045.50"), Spelling(",").read("1 045,50"), Spelling(".", "%").read("-5 %")
    (1045.5, 1045.5, -5.0)
    >>> Spelling("DD.MM.YYYY").read("02.01.1970 12:00")
    1.5
    """

    form: Form
    unit: str = ""

    def __post_init__(self) -> None:
        if self.unit and self.is_date:
            raise DataError(f"dates ({self.form}) have no unit, not {self.unit!r}")

    @property
    def is_date(self) -> bool:
        """Whether days since 1970-01-01 are meant."""
        return self.form in _DATES

    def read(self, text: str) -> float | None:
        """The number; NaN where it is missing, None where the text is none of this spelling.

        A number without the unit is of that unit, but for a percentage: .05 and 5% would be the same.
        """
        if text in WORDS:
            return math.nan
        if self.is_date:
            return _date(text, self.form)
        if self.unit not in ("%", "‰") and len(text) <= 60 and _SIMPLE[self.form].fullmatch(text):
            return float(text.replace(",", "."))
        parts = _split(text)
        if parts is None or parts.unit not in (self.unit, "" if self.unit not in ("%", "‰") else self.unit):
            return None
        return parts.number(self.form)

    def summary(self) -> str:
        """In plain words."""
        if self.is_date:
            return f"dates ({self.form}), as days since 1970-01-01"
        return f"numbers{f' in {self.unit!r}' if self.unit else ''}{' with decimal commas' if self.form == ',' else ''}"


@dataclass(frozen=True)
class Found:
    """What the texts of a column spell.

    Attributes:
        spelling: None where they do not all spell numbers, or not in one way.
        others: spellings that would fit as well and give other numbers: it is ambiguous.
        why: what keeps texts that are numbers from being read so, where something does.
    """

    spelling: Spelling | None
    others: tuple[Spelling, ...] = ()
    why: str = ""


def find(texts: Collection[str], decimal: str | None = None, dates: str | None = None) -> Found:
    """The one spelling that all texts have; those that stand for missing numbers do not count.

    Args:
        texts: the different ones of a column.
        decimal: "." or ",", where it is known.
        dates: "day-first" or "month-first", where it is known.

    >>> find(["1,045.50", "?", "2"]).spelling
    Spelling(form='.', unit='')
    >>> find(["1,045"]).others, find(["1,045", "20,6"]).spelling
    ((Spelling(form=',', unit=''),), Spelling(form=',', unit=''))
    """
    present = [text for text in texts if text not in WORDS]
    if not present or not any(map(str.isdigit, min(present))):
        return Found(None)
    numbers = Found(None)
    # One of all that are spelled alike; exponents count, as what is too large is infinite in either spelling.
    unlike = {text if "e" in text or "E" in text else text.translate(_ALIKE): text for text in present}
    parts = [_split(text) for text in unlike.values()]
    if None not in parts:
        numbers = _find_numbers([part for part in parts if part is not None], present, decimal)
        if numbers.spelling is not None:
            return numbers
    fitting = [Spelling(form) for form in get_args(Form)[2:] if all(_date(text, form) is not None for text in present)]
    if len(fitting) > 1 and dates is not None:
        day_first = dates == "day-first"
        fitting = [spelling for spelling in fitting if spelling.form.startswith("DD") == day_first] or fitting
    return Found(fitting[0], tuple(fitting[1:])) if fitting else numbers


def _find_numbers(parts: Sequence[_Parts], present: Sequence[str], decimal: str | None) -> Found:
    """The spelling of numbers; `parts` are those of one text of each kind among `present`."""
    units = {part.unit for part in parts}
    named = sorted(units - {""})
    if len(named) > 1:
        return Found(None, why=f"its numbers have several units ({', '.join(named[:5])}): bring them to one")
    if "" in units and named and named[0] in "%‰":
        return Found(None, why=f"some of its numbers have {named[0]} and others have none: bring them to one form")
    if all(part.digits.count(".") == 3 for part in parts) and all(_is_address(text) for text in present):
        return Found(None, why="they have four parts of at most 255, as addresses (IP) have")
    if any(part.is_code for part in parts):
        return Found(None, why="some of its numbers begin with 0, as names do (postal codes)")
    unit = named[0] if named else ""
    read = {form: [part.number(form) for part in parts] for form in _NUMBER}
    fitting = [form for form, numbers in read.items() if None not in numbers]
    if len(fitting) > 1 and read["."] == read[","]:
        fitting = [decimal or "."]
    if len(fitting) > 1 and decimal is not None:
        fitting = [decimal]
    if not fitting:
        return Found(None, why="its numbers do not have one decimal mark")
    return Found(Spelling(fitting[0], unit), tuple(Spelling(form, unit) for form in fitting[1:]))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Parts:
    digits: str
    negative: bool
    unit: str

    def number(self, form: str) -> float | None:
        if _NUMBER[form].match(self.digits) is None:
            return None
        thousands = "," if form == "." else "."
        plain = re.sub(f"[{thousands}' ]", "", self.digits).replace(form, ".")
        return -float(plain) if self.negative else float(plain)

    @property
    def is_code(self) -> bool:
        return len(self.digits) > 1 and self.digits[0] == "0" and self.digits.isdigit() and self.digits.strip("0") != ""


def _is_address(text: str) -> bool:
    parts = _split(text)
    numbers = parts.digits.split(".") if parts else []
    return len(numbers) == 4 and all(number.isdigit() and int(number) <= 255 for number in numbers)


@lru_cache(maxsize=1 << 16)
def _split(text: str) -> _Parts | None:
    """Sign, digits with their marks, and unit; None where the text is no number at all."""
    if not 0 < len(text) <= 60:
        return None
    plain = re.sub(r"\s", " ", text).replace("\u2212", "-").replace("\u2019", "'").strip()
    bracketed = _BRACKETED.match(plain)  # as bookkeepers write what is below zero
    found = _PARTS.match("".join(bracketed.groups()).strip() if bracketed else plain)
    if found is None or (found["before"] and found["after"]) or (found["sign"] and found["inner"]):
        return None
    negative = bool(bracketed) != ("-" in (found["sign"], found["inner"]))
    return _Parts(found["number"], negative, (found["before"] or found["after"] or "").strip())


@lru_cache(maxsize=1 << 16)
def _date(text: str, form: str) -> float | None:
    """Days since 1970-01-01, in UTC where the text has an offset."""
    if not 6 <= len(text) <= 40:
        return None
    timed = _TIME.match(text)
    day = timed[1] if timed else text
    if sum(map(len, re.findall(r"\d+", day))) < 5 or ("YYYY" in form and not re.search(r"\d{4}", day)):
        return None
    try:
        moment = datetime.strptime(day, _DATES[form]).replace(tzinfo=UTC)
        if timed:
            moment += _time_of(timed)
    except (ValueError, OverflowError):
        return None
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) / MICROSECONDS


def _time_of(timed: re.Match[str]) -> timedelta:
    """What a time adds to its day. ValueError: there is no such time."""
    hour, minute, second = int(timed[2]), int(timed[3]), int(timed[4] or 0)
    if timed[6]:
        if not 1 <= hour <= 12:
            raise ValueError("a clock of twelve hours")
        hour = hour % 12 + (12 if timed[6] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no time")
    offset = (timed[7] or "Z").strip()
    sign = -1 if offset[0] == "-" else 1
    ahead = timedelta() if offset == "Z" else sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    fraction = int((timed[5] or "0").ljust(6, "0")[:6])
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction) - ahead
