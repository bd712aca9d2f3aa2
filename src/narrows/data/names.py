"""One form for every name: of columns, classes and categories, whatever program wrote it. Knows no files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def one_form(text: str) -> str:
    """A name composed (Unicode NFC; a Mac writes file names decomposed), without white space around it.

    >>> one_form(" cafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return text if text.isascii() and text == text.strip() else unicodedata.normalize("NFC", text).strip()


def differ_in_case(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are alike but for capitals and white space within, each group sorted.

    >>> differ_in_case(["Yes", "no", "YES", "yes"])
    [('YES', 'Yes', 'yes')]
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\s+", " ", name).casefold(), []).append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]
