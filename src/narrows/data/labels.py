"""Several labels in one text: what stands between them, and whether a text holds several. Knows no files."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Collection, Sequence

from narrows.data.column import Column, label_text
from narrows.data.faults import Faults
from narrows.data.names import one_form
from narrows.data.spelling import find
from narrows.errors import DataError

MARK = "|"
"""Between the labels of a text that holds several."""
LIST = "[]"
"""In place of a mark: the labels are written as a list of Python's or JSON's."""
MARKS = (MARK, ";", ",")


def labels_of(text: str, mark: str) -> list[str]:
    """The labels of one text, each in its one form. DataError: it should be a list and is none.

    >>> labels_of("red, round", ","), labels_of("['red', 'round']", LIST)
    (['red', 'round'], ['red', 'round'])
    """
    if mark != LIST:
        return [label for part in text.split(mark.strip()) if (label := one_form(part))]
    if not text:
        return []
    held = _list(text)
    if held is None:
        raise DataError(f"{text!r} is no list of labels")
    return [label for item in held if (label := one_form(str(label_text(item))))]


def label_sets(column: Column, mark: str) -> list[list[str | None]]:
    """The labels of each row, from lists or from text; None for a number without a name."""
    if column.kind == "text":
        known = {text: labels_of(text, mark) for text in set(column.values)}
        return [list(known[text]) for text in column.values]
    return [
        [None if item is None else one_form(str(label_text(item, column.names))) for item in row or ()]
        for row in column.values
    ]


def are_lists(column: Column) -> bool:
    """Whether every text of a column is a list of labels, or empty."""
    texts = set(column.values) - {""} if column.kind == "text" else set()
    return bool(texts) and all(text.startswith("[") and _list(text) is not None for text in texts)


def find_mark(column: Column) -> str:
    """What stands between the labels of a column of text that holds several.

    DataError: it may be one of two.
    """
    if are_lists(column):
        return LIST
    texts = set(column.values)
    if any(MARK in text for text in texts):
        return MARK
    found = [mark for mark in MARKS if any(mark in text for text in texts)]
    if len(found) > 1:
        raise DataError(
            f"{column.where}: the target {column.name!r} has both ; and , in its labels: say with parted_by "
            "(--parted-by) which of them stands between two labels"
        )
    return found[0] if found else MARK


def doubt_classes(column: Column, names: Sequence[str], faults: Faults) -> None:
    """A note where classes look like sets of labels: with a mark in them, and far fewer names between the marks."""
    for mark in MARKS:
        marked = [name for name in names if mark in name]
        labels = {label for name in names for label in labels_of(name, mark)}
        if len(marked) >= 2 and len(labels) < len(names) and not all(_is_number(name) for name in names):
            faults.note(
                f"{len(marked)} of the {len(names)} classes of {column.name!r} have {mark!r} in them, as {marked[0]!r};"
                f" parted by it they are {len(labels)} labels. If a row may have several, say parted_by={mark!r} "
                f"(--parted-by {mark!r})"
            )
            return


def doubt_labels(sets: Sequence[Collection[str | None]], names: Sequence[str], mark: str, faults: Faults) -> None:
    """A note where no row has two labels, or labels have another mark in them."""
    if all(len(labels) < 2 for labels in sets):
        faults.note(
            f"no row has two labels, parted by {mark!r}: if each has one class, say kind='classification' (--kind); if "
            "another mark stands between them, parted_by (--parted-by)"
        )
    for other in MARKS:
        marked = [name for name in names if other in name and other != mark.strip()]
        if marked:
            counts = Counter(label for labels in sets for label in labels)
            rows = sum(counts[name] for name in marked)
            faults.note(
                f"{len(marked)} of {len(names)} labels ({rows} rows) have {other!r} in them, as {marked[0]!r}: if it "
                f"stands between two labels, say parted_by={other!r} (--parted-by {other!r})"
            )


def _is_number(text: str) -> bool:
    return find([text]).spelling is not None


def _list(text: str) -> list[str | float] | None:
    for read in (json.loads, ast.literal_eval):
        try:
            held = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(held, list | tuple) and all(isinstance(item, str | int | float) for item in held):
            return list(held)
    return None
