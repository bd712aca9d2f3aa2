"""Columns of a table to numbers, through scikit-learn's transformers, whose fitted values are kept as plain ones.

Numbers: `SimpleImputer` (median), then `StandardScaler`. Categories: `OneHotEncoder`, unseen ones encoded as none.
Each works on its own block of columns: a `ColumnTransformer` over both would need one array of Python objects.
Knows no files and no targets.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.column import Column, Values, any_in_row
from narrows.data.extras import require
from narrows.data.faults import Faults
from narrows.data.inputs import CategoryColumn, NumberColumn, TableInputs
from narrows.data.names import one_form
from narrows.data.spelling import Spelling
from narrows.errors import DataError

MOST_CATEGORIES = 1000

_WHOLE = re.compile(r"-?\d+(?:\.0+)?")
_POINT = re.compile(r"(?<=\d)\.0+$")


@dataclass(frozen=True, eq=False)
class Blocks:
    """The columns in two blocks: float64 (n, a) with NaN where missing, and texts (n, b) with "" where missing."""

    number_names: tuple[str, ...]
    spellings: tuple[Spelling | None, ...]
    numbers: npt.NDArray[np.float64]
    category_names: tuple[str, ...]
    categories: Values

    def take(self, rows: npt.NDArray[np.int64]) -> Blocks:
        """These rows of both."""
        return replace(self, numbers=self.numbers[rows], categories=self.categories[rows])


def blocks_of(numbers: list[Column], categories: list[Column], rows: int, faults: Faults) -> Blocks:
    """Both blocks; infinite numbers, and text where numbers should be, are faults.

    Lists and other types that are neither are refused in `faults`.
    """
    block = np.zeros((rows, len(numbers)))
    for i, column in enumerate(numbers):
        wrong = np.zeros(rows, dtype=bool)
        with faults.refusing():
            _require_known(column, faults.where)
            block[:, i], wrong = column.numbers()
        faults.add(wrong, partial(_no_number, column))
        infinite = np.isinf(block[:, i])
        faults.add(infinite, f"column {column.name!r} is infinite")
        block[wrong | infinite, i] = 0.0  # of no meaning, and no missing number either
    texts = np.full((rows, len(categories)), "", dtype=object)
    for i, column in enumerate(categories):
        with faults.refusing():
            _require_known(column, faults.where)
            texts[:, i] = [label or "" for label in column.labels()]
    spellings = tuple(column.spelling for column in numbers)
    return Blocks(tuple(c.name for c in numbers), spellings, block, tuple(c.name for c in categories), texts)


def fit_table(blocks: Blocks, faults: Faults) -> TableInputs:
    """Medians, means, standard deviations and categories of these rows.

    DataError: all that is wrong, also columns without any value, of too large numbers, or of too many categories.
    """
    numbers: list[NumberColumn] = []
    filled = np.asarray(~np.isnan(blocks.numbers).all(axis=0))
    for name in np.array(blocks.number_names, dtype=object)[~filled]:
        faults.refuse(f"the column {name!r} has no values; leave it out with without (--without {name!r})")
    if filled.any():
        block = blocks.numbers[:, filled]
        with np.errstate(over="ignore", invalid="ignore"):
            imputer = require("sklearn.impute").SimpleImputer(strategy="median").fit(block)
            scaler = require("sklearn.preprocessing").StandardScaler().fit(imputer.transform(block))
        named = [(blocks.number_names[i], blocks.spellings[i]) for i in np.flatnonzero(filled).tolist()]
        fitted = zip(imputer.statistics_.tolist(), scaler.mean_.tolist(), scaler.scale_.tolist(), strict=True)
        for (name, spelling), (median, mean, std) in zip(named, fitted, strict=True):
            if not all(map(math.isfinite, (median, mean, std))):
                faults.refuse(f"the numbers of the column {name!r} are too large; scale them down")
            numbers.append(NumberColumn(name, median, mean, std, spelling))
    categories = [
        CategoryColumn(name, _categories(name, blocks.categories[:, i], faults))
        for i, name in enumerate(blocks.category_names)
    ]
    faults.settle()
    return TableInputs(tuple(numbers), tuple(categories))


def apply_table(inputs: TableInputs, blocks: Blocks, faults: Faults) -> npt.NDArray[np.float32]:
    """float32 (n, width). Missing numbers and unseen categories are noted; numbers too large for float32 are faults."""
    x = np.zeros((len(blocks.numbers), inputs.width), dtype=np.float32)
    imputer, scaler, encoder = transformers(inputs)
    first = len(inputs.numbers)
    if inputs.numbers:
        missing = np.isnan(blocks.numbers).sum(axis=0)
        for column, count in zip(inputs.numbers, missing.tolist(), strict=True):
            if count:
                faults.note(
                    f"column {column.name!r}: {count} of {len(x)} numbers were missing and taken to be the median, "
                    f"{column.median:g}"
                )
        with np.errstate(over="ignore"):
            x[:, :first] = scaler.transform(imputer.transform(blocks.numbers))
        faults.add(any_in_row(~np.isfinite(x[:, :first])), "a number is too large beside those of the training data")
    if inputs.categories:
        categories = _as_saved(inputs, blocks.categories)
        _note_unseen(inputs, categories, faults)
        x[:, first : inputs.encoded] = encoder.transform(categories)
    return x


def transformers(inputs: TableInputs) -> tuple[Any, Any, Any]:
    """scikit-learn's imputer, scaler and encoder, from the saved values alone; None where there is no such column.

    The imputer and the encoder are fitted on what gives them exactly these values, one row of medians and the
    categories themselves; the scaler has them set.
    """
    imputer = scaler = encoder = None
    if inputs.numbers:
        medians = np.array([[column.median for column in inputs.numbers]])
        imputer = require("sklearn.impute").SimpleImputer(strategy="median").fit(medians)
        scaler = require("sklearn.preprocessing").StandardScaler()
        scaler.mean_ = np.array([column.mean for column in inputs.numbers])
        scaler.scale_ = np.array([column.std for column in inputs.numbers])
        scaler.var_ = scaler.scale_**2
        scaler.n_features_in_ = len(inputs.numbers)
    if inputs.categories:
        known = [np.array(column.values, dtype=object) for column in inputs.categories]
        encoder = require("sklearn.preprocessing").OneHotEncoder(
            categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float32
        )
        encoder.fit(np.array([[values[0] for values in known]], dtype=object))
    return imputer, scaler, encoder


def _no_number(column: Column, row: int) -> str:
    why = "is not a number" if column.spelling is None else f"cannot be read as {column.spelling.summary()}"
    return f"column {column.name!r} has {column.values[row]!r}, which {why}"


def _require_known(column: Column, where: str) -> None:
    if column.kind in ("lists", "other") or column.values.ndim > 1:
        hint = "; derive numbers from it (minutes, say)" if column.type.startswith(("time", "duration")) else ""
        raise DataError(
            f"{where}: the column {column.name!r} is of the type {column.type}, which is neither numbers nor "
            f"text{hint}, or leave it out with without (--without {column.name!r})"
        )


def _categories(name: str, texts: Values, faults: Faults) -> tuple[str, ...]:
    distinct = sorted(set(texts.tolist()))
    if len(distinct) > MOST_CATEGORIES:
        faults.refuse(
            f"the column {name!r} has {len(distinct)} different texts, as {distinct[-1]!r}; as categories there may be "
            f"{MOST_CATEGORIES}. Leave it out with without (--without {name!r}), or derive numbers from it"
        )
    return tuple(distinct)


def _as_saved(inputs: TableInputs, texts: Values) -> Values:
    """The texts as the schema spells them: one that was saved before names had one form has others, and a whole number
    has a point where another one of its column is missing (3.0 is 3)."""
    saved = texts.copy()
    for i, column in enumerate(inputs.categories):
        known = set(column.values)
        others = {one_form(value): value for value in column.values if one_form(value) not in known}
        if all(_WHOLE.fullmatch(value) for value in known - {""}):
            others |= {_POINT.sub("", value): value for value in column.values}
            saved[:, i] = [
                text if text in known else others.get(_POINT.sub("", text), text) for text in texts[:, i].tolist()
            ]
        elif others:
            saved[:, i] = [others.get(text, text) for text in texts[:, i]]
    return saved


def _note_unseen(inputs: TableInputs, categories: Values, faults: Faults) -> None:
    for i, column in enumerate(inputs.categories):
        known = set(column.values)
        unseen = [text for text in categories[:, i].tolist() if text not in known]
        if unseen:
            shown = ", ".join(map(repr, list(dict.fromkeys(unseen))[:3]))
            faults.note(
                f"column {column.name!r}: {len(unseen)} of {len(categories)} values are in no category of the "
                f"training data ({shown}) and count as none"
            )
