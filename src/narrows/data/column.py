"""A named column of raw values, from Arrow or NumPy, as numbers or as labels. Knows no files and no targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from narrows.data.extras import require
from narrows.data.names import one_form
from narrows.data.spelling import MICROSECONDS, MISSING, Spelling
from narrows.errors import DataError

Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Kind = Literal["bool", "int", "float", "date", "text", "lists", "other"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column of n rows.

    Attributes:
        name: the column's name.
        kind: what `values` holds: "bool", "int" (int64 or uint64), "float" (float64; missing is NaN), "date" (float64,
            days since 1970-01-01; missing is NaN), "text" (objects, each in its one form; missing is ""), "lists"
            (objects, lists of Python values), or "other", which is of no use.
        values: (n,); numbers may also be (n, k).
        missing: bool (n,).
        type: of the values where they came from, for messages.
        names: the names of class numbers, where the source has them.
        where: the source's name, for messages.
        spelling: how text spells numbers, where it is to be read so.
        spaced: texts that had white space around them, which was taken off.
    """

    name: str
    kind: Kind
    values: Values
    missing: Mask
    type: str
    names: tuple[str, ...] | None = None
    where: str = ""
    spelling: Spelling | None = None
    spaced: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> Column:
        """These rows of it."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def spelled(self, spelling: Spelling | None) -> Column:
        """The same, its text to be read as numbers so spelled."""
        column = replace(self, spelling=spelling)
        if spelling is None or self.kind != "text":
            return column
        numbers, wrong = column.numbers()
        return replace(column, missing=np.isnan(numbers) & ~wrong)

    def numbers(self) -> tuple[npt.NDArray[np.float64], Mask]:
        """float64 (n, ...), NaN where missing, and the rows that hold something other than a number.

        Text is read as numbers where it spells them, and dates where `spelling` says so. DataError: lists and the like,
        dates where numbers are wanted or the other way round.
        """
        wrong = np.zeros(len(self), dtype=bool)
        dated = self.spelling is not None and self.spelling.is_date
        percent = self.spelling is not None and self.spelling.unit in ("%", "‰")
        if self.kind in ("lists", "other") or (self.kind == "date" and not dated):
            raise DataError(f"{self.where}: the column {self.name!r} is of the type {self.type}, which is not a number")
        if self.kind == "text":
            read = _number if self.spelling is None else self.spelling.read
            known = {text: read(text) for text in set(self.values)}
            wrong = np.array([known[text] is None for text in self.values], dtype=bool)
            return np.array([known[text] for text in self.values], dtype=np.float64), wrong
        if self.spelling is not None and (percent or (dated and self.kind != "date")) and not self.missing.all():
            raise DataError(
                f"{self.where}: the column {self.name!r} is of the type {self.type}; the task was learned from "
                f"{self.spelling.summary()}, as text"
            )
        numbers = self.values.astype(np.float64)
        if self.missing.any():
            numbers[self.missing] = math.nan
        return numbers, wrong

    def labels(self) -> Values:
        """Objects (n,): the label of each row as text; None where it is missing or a number without a name.

        The numbers 3 and 3.0 are "3", True is "true"; class numbers that have names are their names.
        """
        if self.kind in ("lists", "other") or self.values.ndim > 1:
            raise DataError(
                f"{self.where}: the column {self.name!r} is of the type {self.type}, which cannot be a class"
            )
        if self.kind == "text":
            texts = self.values.copy()
        elif self.kind == "date":
            texts = np.array([_iso(days) for days in self.values], dtype=object)
        else:
            distinct, index = np.unique(self.values, return_inverse=True)
            spelled = np.empty(len(distinct), dtype=object)
            spelled[:] = [self._label(value) for value in distinct.tolist()]
            texts = spelled[index]
        texts[self.missing] = None
        return texts

    def _label(self, value: bool | float) -> str | None:
        return label_text(value, self.names)


def any_in_row(values: Mask) -> Mask:
    """bool (n,): whether anything is true in each row of (n, ...).

    >>> any_in_row(np.array([[True, False], [False, False]])).tolist()
    [True, False]
    """
    return np.asarray(values.reshape(len(values), -1).any(axis=1), dtype=np.bool_)


def label_text(value: Any, names: tuple[str, ...] | None = None) -> str | None:
    """A label as text, by its name where there are names; None where it has none.

    >>> label_text(3.0), label_text(True), label_text(0.5), label_text(1, ("cat", "dog")), label_text(2, ("cat", "dog"))
    ('3', 'true', '0.5', 'dog', None)
    """
    if isinstance(value, str):
        return value
    if names is not None:
        return names[int(value)] if 0 <= value < len(names) else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def from_numpy(name: str, values: Values, where: str) -> Column:
    """A column of an array (n,) or (n, k).

    Raises:
        DataError: an array of Python objects, or of something other than numbers, bools or text.
    """
    none = np.zeros(len(values), dtype=bool)
    described = f"{values.dtype} array"
    match values.dtype.kind:
        case "b":
            return Column(name, "bool", values, none, described)
        case "i" | "u":
            return Column(name, "int", values, none, described)
        case "f":
            floats = values.astype(np.float64)
            missing = any_in_row(np.isnan(floats))
            return Column(name, "float", floats, missing, described)
        case "U" if values.ndim == 1:
            return _text(name, values.astype(object), none, described)
    raise DataError(f"{where}: {name!r} is an array of {values.dtype} {values.shape}; needs numbers, bools or text")


def from_arrow(name: str, chunks: Any, names: tuple[str, ...] | None = None) -> Column:
    """A column of an Arrow table; `chunks` is its ChunkedArray."""
    arrow = require("pyarrow")
    kinds = arrow.types
    kind = chunks.type
    described = str(kind)
    if kinds.is_dictionary(kind):
        chunks, kind = chunks.cast(kind.value_type), kind.value_type
    missing = chunks.is_null().to_numpy()

    def column(which: Kind, values: Values) -> Column:
        return Column(name, which, values, missing, described, names)

    if kinds.is_boolean(kind):
        return column("bool", chunks.fill_null(False).to_numpy())
    if kinds.is_integer(kind):
        return column("int", chunks.fill_null(0).to_numpy())
    if kinds.is_floating(kind) or kinds.is_decimal(kind) or kinds.is_null(kind):
        floats = chunks.cast(arrow.float64()).to_numpy().astype(np.float64)
        missing = missing | np.isnan(floats)
        return column("float", floats)
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return _text(name, chunks.fill_null("").to_numpy(zero_copy_only=False), missing, described, names)
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        days = chunks.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64()).fill_null(0).to_numpy() / MICROSECONDS
        days[missing] = math.nan
        return column("date", days)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        lists = np.empty(len(chunks), dtype=object)
        for row, held in enumerate(chunks.to_pylist()):  # at once, NumPy would make a matrix of lists of one length
            lists[row] = held
        return column("lists", lists)
    return column("other", np.empty(len(chunks), dtype=object))


def _text(name: str, raw: Values, missing: Mask, described: str, names: tuple[str, ...] | None = None) -> Column:
    forms = {text: one_form(text) for text in set(raw)}
    texts = np.array([forms[text] for text in raw], dtype=object)
    spaced = sum(text != text.strip() for text in raw)
    return Column(name, "text", texts, missing | (texts == ""), described, names, spaced=spaced)


def _iso(days: float) -> str:
    if not math.isfinite(days):
        return ""
    return str(np.datetime64(round(days * MICROSECONDS), "us")).replace("T00:00:00.000000", "")


def _number(text: str) -> float | None:
    if text in MISSING:
        return math.nan
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        return None
