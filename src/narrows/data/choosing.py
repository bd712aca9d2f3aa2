"""What each column of a new table is: numbers, categories, nothing to learn from, or nothing that can be read yet.

Nothing is decided in silence: each decision that a user might make otherwise is a note, with how to. Knows no targets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from narrows.data.column import Column, Values
from narrows.data.faults import Faults
from narrows.data.names import differ_in_case
from narrows.data.nearly_numbers import nearly
from narrows.data.options import DataOptions
from narrows.data.sources import Raw
from narrows.data.spelling import WORDS, Spelling, find

ENOUGH = 20
"""Rows from which on it is no chance that a column counts up, or that no text stands in it twice."""
MANY = 0.9
"""Different values over rows from which on a column of text is doubted."""
WORDY = 4
"""Words a text from which on a column holds texts to be read, and no names."""
LONG = 60
"""Characters a text, the same."""

_INDEX = re.compile(r"(?:Unnamed: \d+(?:\.\d+)*|level_\d+|__index_level_\d+__)")
_ID = re.compile(r"(?:^|[^A-Za-z])(?i:id|index|idx|uuid|guid|row)$|(?<=[a-z])(?:Id|ID|Index|UUID)$")


@dataclass
class Chosen:
    """The columns by what they are; `without` are the names of those that were left out unasked."""

    numbers: list[Column] = field(default_factory=list)
    categories: list[Column] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


def choose(raw: Raw, names: Sequence[str], options: DataOptions, faults: Faults) -> Chosen:
    """What each of these columns is, with a note where it was decided; what cannot be used is refused in `faults`."""
    chosen = Chosen()
    for name in names:
        with faults.refusing():
            column = raw.column(name)
            note_spaces(column, faults)
            _choose(column, raw, options, chosen, faults)
    return chosen


def _choose(column: Column, raw: Raw, options: DataOptions, chosen: Chosen, faults: Faults) -> None:
    if column.name in options.categorical or column.names is not None:
        column.labels()  # DataError where it cannot be
        chosen.categories.append(column)
        return
    useless = None if options.features else _useless(column)
    if useless:
        chosen.without.append(column.name)
        faults.note(f"column {column.name!r} was left out: {useless}. To learn from it, name the features (--features)")
        return
    if column.kind == "text":
        column = column.spelled(spelling_of(column, raw, options, faults))
    elif column.kind == "date":
        column = column.spelled(Spelling("YYYY-MM-DD"))
        faults.note(f"column {column.name!r} is read as {Spelling('YYYY-MM-DD').summary()}")
    elif raw.decimal == ",":
        column = column.spelled(Spelling(","))
    if column.kind == "text" and column.spelling is None:
        _doubt_text(column, faults)
        chosen.categories.append(column)
        return
    _doubt_numbers(column, faults)
    chosen.numbers.append(column)


def spelling_of(column: Column, raw: Raw, options: DataOptions, faults: Faults) -> Spelling | None:
    """How a column of text spells numbers, said in a note; None where it does not."""
    counts = Counter(column.values)
    said = options.decimal or ("," if raw.decimal == "," else None)
    found = find(counts.keys(), said, options.dates)
    shown = ", ".join(map(repr, [text for text in counts if text not in WORDS][:3]))
    if found.spelling is None:
        said_nearly = nearly(counts)
        if found.why and " dates" not in said_nearly:
            faults.note(f"column {column.name!r} ({shown}) is taken as categories and not as numbers: {found.why}")
        elif said_nearly:
            faults.note(f"column {column.name!r} is taken as categories: {said_nearly}")
        return None
    words = {text: counts[text] for text in sorted(counts) if text in WORDS and text}
    gone = f"; {sum(words.values())} are missing ({', '.join(map(repr, words))})" if words else ""
    faults.note(
        f"column {column.name!r} is text ({shown}) and is read as {found.spelling.summary()}{gone}"
        + _ambiguous(found.spelling, found.others, counts)
    )
    return found.spelling


def _ambiguous(chosen: Spelling, others: Sequence[Spelling], texts: Iterable[str]) -> str:
    if not others:
        return ""
    if chosen.is_date:
        return (
            f". It may as well be {others[0].form}: no row tells day and month apart. Say which with dates (--dates "
            "day-first or month-first)"
        )
    comma = any("," in text for text in texts if text not in WORDS)
    doubt = (
        "comma is taken to part thousands; no row shows whether it does, or is the decimal mark"
        if comma
        else "dot is taken to be the decimal mark; no row shows whether it is, or parts thousands"
    )
    return f". The {doubt}: say which with decimal (--decimal . or --decimal ,)"


def _useless(column: Column) -> str | None:
    """Why nothing can be learned from a column; None where something may be."""
    whole = _whole(column)
    present = column.values[~column.missing] if whole is None else whole
    distinct = len(set(present.tolist())) if whole is not None or column.kind == "text" else 0
    rows = len(column) if whole is None else len(whole)
    if _INDEX.fullmatch(column.name):
        return "it has no name of its own, as an index that was saved with the table"
    if whole is not None and rows >= ENOUGH and (np.diff(whole) == np.diff(np.flatnonzero(~column.missing))).all():
        return f"it counts up from row to row, from {present[0]} to {present[-1]}, as an index does"
    if distinct == rows > 1 and (_ID.search(column.name) and (rows >= ENOUGH or column.kind == "text")):
        return f"it is named like an id and differs in every one of {rows} rows"
    if column.kind == "text" and distinct == rows >= ENOUGH and not (_is_wordy(column) or _has_numbers(present)):
        return f"it differs in every one of {rows} rows, as names and ids do, so that nothing holds for new ones"
    return None


def _whole(column: Column) -> Values | None:
    """The numbers that are there, as whole ones, also where a missing one has made them floating; None: not all are."""
    if column.kind not in ("int", "float") or column.values.ndim > 1:
        return None
    present = column.values[~column.missing]
    if column.kind == "int":
        return present
    return present.astype(np.int64) if ((present == np.rint(present)) & (np.abs(present) < 2**53)).all() else None


def _doubt_numbers(column: Column, faults: Faults) -> None:
    present = _whole(column)
    if present is not None and len(present) == len(np.unique(present)) >= ENOUGH:
        faults.note(
            f"column {column.name!r} holds another whole number in every one of {len(present)} rows; if it is an id, "
            f"leave it out (--without {column.name!r}) or keep it beside the predictions (--id {column.name!r})"
        )


def _doubt_text(column: Column, faults: Faults) -> None:
    present = [text for text in column.values if text]
    distinct = set(present)
    if _is_wordy(column):
        words = sum(len(text.split()) for text in present) / len(present)
        faults.refuse(
            f"the column {column.name!r} holds texts ({len(distinct)} different ones in {len(column)} rows, "
            f"{words:.0f} words each on average), and narrows has no reader of texts yet. Leave it out with without "
            f"(--without {column.name!r}), or put numbers in its place that were made of it (embeddings)"
        )
    elif len(column) >= ENOUGH and len(distinct) >= MANY * len(column):
        faults.note(
            f"column {column.name!r} is text with {len(distinct)} different values in {len(column)} rows, each of "
            "which becomes an input: what is learned of them holds for no other. Leave it out with without (--without "
            f"{column.name!r})"
        )
    note_case(f"column {column.name!r}", "categories", present, faults)


def _has_numbers(texts: Iterable[str]) -> bool:
    return any(find([text]).spelling is not None for text in texts)


def _is_wordy(column: Column) -> bool:
    """Whether a column of text is there to be read: long texts, hardly one of them twice."""
    present = [text for text in column.values if text]
    if not present or 2 * len(set(present)) < len(present):
        return False
    words = sum(len(text.split()) for text in present)
    return words >= WORDY * len(present) or sum(map(len, present)) >= LONG * len(present)


def note_spaces(column: Column, faults: Faults) -> None:
    """How many texts had white space around them."""
    if column.spaced:
        faults.note(f"column {column.name!r}: white space was taken off {column.spaced} of {len(column)} texts")


def note_case(where: str, what: str, texts: Sequence[str], faults: Faults) -> None:
    """Which texts differ in capitals only, with how many rows have each."""
    counts = Counter(texts)
    for group in differ_in_case(counts):
        alike = ", ".join(f"{name!r} ({counts[name]} rows)" for name in group)
        faults.note(f"{where}: {alike} are {len(group)} {what}; if they are one, spell them alike")
