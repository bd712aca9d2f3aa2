"""A series of numbers as one line of text: short to keep, and still read by eye.

Numbers of 4 significant digits stand between commas. Nothing between them stands for the number before, "-" for one
that is not known. Knows no history.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

DIGITS: Final = 4
_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII)
_UNKNOWN: Final = "-"


def write_series(values: Sequence[float | None]) -> str:
    """The series as text; NaN and infinities are not known.

    >>> write_series([0.60004, 0.5, 0.5, None, 1e-05])
    '.6,.5,,-,1e-05'
    """
    texts = [_short(value) for value in values]
    return ",".join(text if not at or text != texts[at - 1] else "" for at, text in enumerate(texts))


def read_series(text: Any) -> list[float | None]:
    """The numbers in `text`; none in an empty one.

    Raises:
        ValueError: it is no such text; says what is wrong.

    >>> read_series(".6,.5,,-,1e-05")
    [0.6, 0.5, 0.5, None, 1e-05]
    """
    if not isinstance(text, str):
        raise ValueError("should be a text of numbers and commas")
    if not text:
        return []
    found: list[float | None] = []
    for at, part in enumerate(text.split(",")):
        if not part and at:
            found.append(found[-1])
        elif part == _UNKNOWN:
            found.append(None)
        elif _NUMBER.fullmatch(part) and math.isfinite(float(part)):
            found.append(float(part))
        else:
            raise ValueError(f"holds {part[:20]!r} where a number should be")
    return found


def _short(value: float | None) -> str:
    text = f"{math.nan if value is None else value:.{DIGITS}g}"
    if not math.isfinite(float(text)):
        return _UNKNOWN
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
