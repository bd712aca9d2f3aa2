"""A text from anywhere as one line that a terminal only shows. Knows no terminal."""

from __future__ import annotations

import re
import unicodedata

_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that are drawn as nothing; the other invisible ones have a category of their own."""


def shown(text: str) -> str:
    """`text` with what is not seen, or moves what is, by its number: controls, line breaks, marks of direction and of
    no width. Bytes of a path that are no text stay as they are, but for those that are controls to a terminal.

    >>> print(shown("a\\x1b[2J\\nb\\u202ec\\u200bd 日本"))
    a\\x1b[2J\\nb\\u202ec\\u200bd 日本
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_sign, text))


def _sign(sign: str) -> str:
    if "\udc80" <= sign <= "\udc9f":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    if "\udca0" <= sign <= "\udcff":
        return sign
    seen = sign.isprintable() or unicodedata.category(sign) == "Zs"
    return sign if seen and not _BLANK.match(sign) else sign.encode("unicode_escape").decode()
