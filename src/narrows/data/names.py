"""One form for every name: of columns, classes and categories, whatever program wrote it. Knows no files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def one_form(text: str) -> str:
    """A name composed (Unicode NFC; a Mac writes file names decomposed), `readable`, without white space around it.

    >>> one_form(" cafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return text if text.isascii() and text == text.strip() else unicodedata.normalize("NFC", readable(text)).strip()


def readable(path: str) -> str:
    """The name of a file as text that can be stored: bytes of it that are no UTF-8 are spelled.

    >>> readable("gr\\udcfcn") == "gr\\\\xfcn"
    True
    """
    try:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # it was never the name of a file
        return path


def differ_in_case(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are alike but for capitals and white space within, each group sorted.

    >>> differ_in_case(["Yes", "no", "YES", "yes"])
    [('YES', 'Yes', 'yes')]
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\s+", " ", name).casefold(), []).append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]
