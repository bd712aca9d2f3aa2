"""Whether the dot or the comma is the decimal mark of a CSV file, where nobody said it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.column import from_arrow
from narrows.data.extras import require
from narrows.data.sources.dialect import Dialect
from narrows.data.spelling import WORDS, Spelling, find


def find_mark(
    table: Any, as_texts: Callable[[Collection[str]], Any], dialect: Dialect, as_text: Collection[str]
) -> tuple[str, list[str]]:
    """The decimal mark, and the notes on how it was found.

    Args:
        table: the file, read with decimal dots; it has forgotten how many digits a number had.
        as_texts: reads the file again, the named columns as text.
        as_text: columns that are no numbers.
    """
    types = require("pyarrow").types
    doubtful = {name: values for name, values in _columns(table, as_text) if types.is_floating(values.type)}
    certain = not all(_may_be_thousands(from_arrow(name, values).values) for name, values in doubtful.items())
    if certain:
        doubtful = {}
    elif doubtful:
        table = as_texts(doubtful)
    unclear: dict[str, tuple[str, bool]] = {}
    for name, values in _columns(table, as_text):
        if not types.is_string(values.type):
            continue
        texts = sorted(set(from_arrow(name, values).values) - WORDS)
        found = find(texts)
        if found.spelling is None or found.spelling.is_date:
            continue
        if found.spelling.form == "," and not found.others and dialect.separator in ";\t":
            return ",", [_commas(name, texts, found.spelling)]
        dotted = [text for text in texts if "." in text.strip(".")]
        if found.others and dotted and not any("," in text for text in texts):
            plain = [text for text in texts if "." not in text.strip(".")]
            beside = bool(plain) and all(sum(map(str.isdigit, text)) <= 3 for text in plain)
            unclear[name] = (
                f"{dotted[0]!r} in the column {name!r}" + (f" beside {plain[0]!r}" if beside else ""),
                beside,
            )
        certain = certain or (found.spelling.form == "." and not found.others and bool(dotted))
    if certain:
        return ".", []
    parted = [shown for shown, beside in unclear.values() if beside]
    choice = "say which with decimal (--decimal . or --decimal ,)"
    if parted and dialect.separator in ";\t":
        return ",", [
            f"its dots are taken to part thousands, as {parted[0]}; if they are decimal marks, say decimal "
            "(--decimal .)"
        ]
    return ".", [
        f"the dot is taken to be the decimal mark, as {unclear[name][0]}; no row shows whether it is, or parts "
        f"thousands: {choice}"
        for name in doubtful
        if name in unclear
    ]


def _columns(table: Any, as_text: Collection[str]) -> list[tuple[str, Any]]:
    return [(n, values) for n, values in zip(table.column_names, table.columns, strict=True) if n not in as_text]


def _may_be_thousands(values: npt.NDArray[Any]) -> bool:
    """Whether each number may have been written with a dot and three digits, or none: 1.5 as "1.500"."""
    held = np.abs(values[np.isfinite(values)])
    parted = held[held != np.rint(held)]
    return bool(((parted >= 1) & (parted < 1000) & (np.abs(parted * 1000 - np.rint(parted * 1000)) < 1e-6)).all())


def _commas(name: str, texts: Collection[str], spelling: Spelling) -> str:
    shown = next(text for text in texts if Spelling(".", spelling.unit).read(text) is None)
    how = "have decimal commas" if "," in shown else "have dots between their thousands"
    return f"its numbers {how}, as {shown!r} in the column {name!r}; decimal (--decimal) says otherwise"
