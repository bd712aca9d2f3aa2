"""A named column of raw values, from Arrow or NumPy, as numbers or as labels. Knows no files and no targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from narrows.data.extras import require
from narrows.errors import DataError

Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
MISSING = frozenset(("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL"))
"""What stands for a missing number in text."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of n rows.

    Attributes:
        name: the column's name.
        kind: what `values` holds: "bool", "int" (int64 or uint64), "float" (float64; missing is NaN), "text" (objects;
            missing is ""), "lists" (objects, lists of Python values), or "other", which is of no use.
        values: (n,); numbers may also be (n, k).
        missing: bool (n,).
        type: of the values where they came from, for messages.
        names: the names of class numbers, where the source has them.
        where: the source's name, for messages.
    """

    name: str
    kind: Literal["bool", "int", "float", "text", "lists", "other"]
    values: Values
    missing: Mask
    type: str
    names: tuple[str, ...] | None = None
    where: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> Column:
        """These rows of it."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def numbers(self) -> tuple[npt.NDArray[np.float64], Mask]:
        """float64 (n, ...), NaN where missing, and the rows that hold something other than a number.

        Text is read as numbers where it spells them. DataError: dates, lists and the like.
        """
        wrong = np.zeros(len(self), dtype=bool)
        if self.kind in ("lists", "other"):
            raise DataError(f"{self.where}: the column {self.name!r} is of the type {self.type}, which is not a number")
        if self.kind == "text":
            read = [_number(text) for text in self.values]
            wrong = np.array([number is None for number in read], dtype=bool)
            return np.array([math.nan if number is None else number for number in read], dtype=np.float64), wrong
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
            texts = values.astype(object)
            return Column(name, "text", texts, texts == "", described)
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

    def column(which: Literal["bool", "int", "float", "text", "lists", "other"], values: Values) -> Column:
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
        texts = chunks.fill_null("").to_numpy(zero_copy_only=False)
        return Column(name, "text", texts, missing | (texts == ""), described, names)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        lists = np.empty(len(chunks), dtype=object)
        for row, held in enumerate(chunks.to_pylist()):  # at once, NumPy would make a matrix of lists of one length
            lists[row] = held
        return column("lists", lists)
    return column("other", np.empty(len(chunks), dtype=object))


def _number(text: str) -> float | None:
    if text in MISSING:
        return math.nan
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        return None
