"""What a task is to predict, decided from the target columns of its training data. Knows no inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from narrows.data.choosing import note_case, spelling_of
from narrows.data.column import Column
from narrows.data.faults import Faults
from narrows.data.labels import LIST, MARK, are_lists, doubt_classes, doubt_labels, find_mark, label_sets
from narrows.data.nearly_numbers import nearly
from narrows.data.options import DataOptions, Kind
from narrows.data.sources.raw import Raw
from narrows.data.spelling import WORDS, Spelling, find
from narrows.data.target import Target
from narrows.errors import DataError

USUAL = ("label", "target", "y", "class")
FEW = 20
"""So many different whole numbers are classes; more are classes only where they count from 0 or 1 without a gap."""


def target_columns(raw: Raw, options: DataOptions) -> tuple[str, ...]:
    """The columns that `options` name, or else the one with a usual name.

    DataError: none, or several, have one.
    """
    if options.targets:
        return options.targets
    found = [name for name in raw.names if name.lower() in USUAL]
    if len(found) == 1:
        return (found[0],)
    if not raw.names:
        raise DataError(f"{raw.where}: there are no targets to learn from; only inputs were found")
    what = f"several columns may be the target: {', '.join(found)}" if found else "no column is the target for certain"
    raise DataError(
        f"{raw.where}: {what}. Name it with target (--target); the columns are {', '.join(raw.names[:20])}"
        + (", ..." if len(raw.names) > 20 else "")
    )


def expanded(columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of numbers in columns: an array (n, k) gives k of them."""
    return tuple(
        f"{column.name}[{i}]" if column.values.ndim > 1 else column.name
        for column in columns
        for i in range(math.prod(column.values.shape[1:]))
    )


def spell_targets(columns: Sequence[Column], raw: Raw, options: DataOptions, faults: Faults) -> list[Column]:
    """The columns, those of text to be read as numbers where they spell amounts: for a regression, or where they hold
    so many different ones that they are hardly classes; or as dates, where a regression is asked for."""
    return [_spell(column, raw, options, faults) for column in columns]


def _spell(column: Column, raw: Raw, options: DataOptions, faults: Faults) -> Column:
    asked = options.kind == "regression"
    if not asked and (
        options.kind != "auto" or options.classes is not None or options.parted_by is not None or raw.why
    ):
        return column
    if column.kind == "date" and asked:
        return column.spelled(Spelling("YYYY-MM-DD"))
    if column.kind == "text":
        distinct = set(column.values) - WORDS
        found = find(distinct, options.decimal, options.dates).spelling if asked or len(distinct) > FEW else None
        if found is not None and (asked or not found.is_date):
            return column.spelled(spelling_of(column, raw, options, faults))
    elif raw.decimal == ",":
        return column.spelled(Spelling(","))
    return column


def fit_target(columns: Sequence[Column], options: DataOptions, faults: Faults, given: str = "") -> Target:
    """Kind, names and scale of the target, from rows that all have one; what may be meant otherwise is noted.

    Args:
        given: how the source tells the classes, where it does.

    Raises:
        DataError: the kind is not certain, or cannot be learned: one class only, a class without an example, all
            targets equal, columns that do not fit the kind asked for.
    """
    where = faults.where
    kind, why = _kind(columns, options, where, given)
    names = tuple(column.name for column in columns)
    text = all(column.kind == "text" for column in columns)
    if kind == "regression":
        if options.classes is not None:
            raise DataError(f"{where}: classes were named, but the target is a regression ({why}); say kind")
        mean, std = _scale(columns, where)
        spellings = tuple(column.spelling for column in columns)
        return Target(kind, expanded(columns), names, text, mean, std, why, spellings if any(spellings) else ())
    if kind == "classification":
        classes = _classes(columns[0], options, where)
        _doubt(columns[0], classes, faults)
        return Target(kind, classes, names, text, (), (), why)
    mark = MARK
    if columns[0].kind == "text" and len(columns) == 1:
        mark = options.parted_by or find_mark(columns[0])
        if mark != MARK and options.parted_by is None:
            how = "written as lists" if mark == LIST else f"parted by {mark!r}"
            faults.note(f"the labels of {columns[0].name!r} are {how}, and were read so")
    labels = _labels(columns, options, where, mark)
    if len(columns) == 1 and columns[0].kind in ("text", "lists"):
        doubt_labels(label_sets(columns[0], mark), labels, mark, faults)
    return Target(kind, labels, names, text, (), (), why, (), mark)


def _doubt(column: Column, classes: Sequence[str], faults: Faults) -> None:
    if column.kind != "text":
        return
    texts = [text for text in column.values if text]
    doubt_classes(column, classes, faults)
    note_case(f"target {column.name!r}", "classes", texts, faults)
    said_nearly = nearly(Counter(texts)) if len(classes) > FEW else ""
    if said_nearly:
        faults.note(f"target {column.name!r} is taken as classes: {said_nearly}")
    words = [name for name in classes if name in WORDS]
    if words:
        rows = sum(text in WORDS for text in texts)
        faults.note(
            f"target {column.name!r}: {', '.join(map(repr, words))} ({rows} rows) is a class; if it stands for a "
            "missing target, leave it empty"
        )


def _kind(columns: Sequence[Column], options: DataOptions, where: str, given: str) -> tuple[Kind, str]:
    if options.kind != "auto":
        if options.kind == "classification" and (len(columns) > 1 or columns[0].values.ndim > 1):
            raise DataError(f"{where}: a classification has one target column, not {', '.join(expanded(columns))}")
        return options.kind, "as asked for"
    if len(columns) > 1 or columns[0].values.ndim > 1:
        return _kind_of_several(columns, where)
    column = columns[0]
    said = f"the target {column.name!r}"
    if given:
        return "classification", given
    if options.parted_by is not None:
        return "multilabel", "its labels are parted as asked for"
    if are_lists(column):
        return "multilabel", f"{said} holds lists of labels, as text"
    if column.kind == "lists":
        return "multilabel", f"{said} holds lists of labels"
    if options.classes is not None or column.names is not None:
        return "classification", "its classes were named"
    if column.kind == "date":
        raise DataError(
            f"{where}: {said} holds dates. To predict days since 1970-01-01, say kind='regression' (--kind regression)"
        )
    if column.kind == "bool" or (column.kind == "text" and column.spelling is None):
        return "classification", f"{said} is {'text' if column.kind == 'text' else 'true or false'}"
    numbers, _ = column.numbers()
    distinct = np.unique(numbers)
    if (distinct != np.rint(distinct)).any():
        return "regression", f"{said} holds {len(distinct)} different numbers, not all of them whole"
    counted = len(distinct) > 1 and distinct[0] in (0, 1) and distinct[-1] - distinct[0] == len(distinct) - 1
    if len(distinct) <= FEW or (counted and len(numbers) >= 2 * len(distinct)):
        return "classification", f"{said} holds {len(distinct)} different whole numbers"
    raise DataError(
        f"{where}: {said} holds {len(distinct)} different whole numbers: classes or amounts? Say "
        "kind='classification' or kind='regression'"
    )


def _kind_of_several(columns: Sequence[Column], where: str) -> tuple[Kind, str]:
    block = _block(columns, where)
    count = f"{block.shape[1]} target columns"
    if not np.isin(block, (0, 1)).all():
        return "regression", f"{count} of numbers"
    if block.shape[1] > 1 and (block.sum(axis=1) == 1).all():
        raise DataError(
            f"{where}: in each row exactly one of the {count} is 1. If these are classes, give them in one column; if "
            "they are labels of which more may hold at once, say kind='multilabel'"
        )
    return "multilabel", f"{count} of 0 and 1"


def _block(columns: Sequence[Column], where: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The numbers of all columns side by side, float64 (n, k)."""
    parts = []
    for column in columns:
        numbers, wrong = column.numbers()
        if wrong.any():
            raise DataError(
                f"{where}: the target {column.name!r} has {column.values[wrong][0]!r}, which is not a number"
            )
        parts.append(numbers.reshape(len(numbers), -1))
    return np.concatenate(parts, axis=1)


def _scale(columns: Sequence[Column], where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    block = _block(columns, where)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = block.mean(axis=0), block.std(axis=0)
    for name, centre, spread in zip(expanded(columns), mean.tolist(), std.tolist(), strict=True):
        if not (math.isfinite(centre) and math.isfinite(spread)):
            raise DataError(f"{where}: the numbers of the target {name!r} are too large; scale them down")
        if spread <= 1e-12 * abs(centre):
            raise DataError(f"{where}: the target {name!r} is {centre:g} in every row: there is nothing to learn")
    return tuple(mean.tolist()), tuple(std.tolist())


def _classes(column: Column, options: DataOptions, where: str) -> tuple[str, ...]:
    found = {label for label in column.labels().tolist() if label is not None}
    if options.classes is not None:
        classes = options.classes
        empty = [name for name in classes if name not in found]
        if empty:
            raise DataError(
                f"{where}: the class {empty[0]!r} has no example ({len(empty)} of {len(classes)} classes have none). "
                f"Leave it out of classes; the data have {_few(_sorted(found))}"
            )
    elif column.names is not None:
        classes = tuple(name for name in column.names if name in found)
    else:
        classes = _sorted(found)
    if len(classes) < 2:
        raise DataError(
            f"{where}: all examples are of one class, {_few(classes)}: there is nothing to tell apart. Add examples "
            "of another class"
        )
    return classes


def _labels(columns: Sequence[Column], options: DataOptions, where: str, mark: str) -> tuple[str, ...]:
    column = columns[0]
    if len(columns) > 1 or column.kind not in ("lists", "text"):
        if options.classes is not None:
            raise DataError(f"{where}: labels in columns of 0 and 1 are named by the columns; leave classes out")
        if not np.isin(_block(columns, where), (0, 1)).all():
            raise DataError(f"{where}: multilabel targets in columns must be 0 or 1: {', '.join(expanded(columns))}")
        return expanded(columns)
    found = {label for row in label_sets(column, mark) for label in row if label is not None}
    if options.classes is None:
        if not found:
            raise DataError(f"{where}: the target {column.name!r} holds no label in any row")
        return tuple(n for n in column.names if n in found) if column.names is not None else _sorted(found)
    empty = [name for name in options.classes if name not in found]
    if empty:
        raise DataError(f"{where}: the label {empty[0]!r} has no example. Leave it out of classes")
    return options.classes


def _sorted(labels: set[str]) -> tuple[str, ...]:
    """Sorted; by value where all are numbers."""
    try:
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    except ValueError:
        return tuple(sorted(labels))


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
