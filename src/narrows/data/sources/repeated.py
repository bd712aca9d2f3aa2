"""The header line of a CSV file where it stands again among the rows, as in files that were put one after another."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.extras import require
from narrows.data.sources.dialect import NAMELESS
from narrows.data.spelling import MISSING

_NAMELESS = re.compile(NAMELESS.format(r"\d+"))


def repeats(table: Any, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The rows that hold the header's names, each in its own column; of a single column none, as it may be a value."""
    found = None
    for name, values in zip(names, table.columns, strict=True):
        held = _holding(values, name)
        found = held if found is None or held is None else found & held
        if found is None or held is None or not found.any():
            return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(found) if found is not None and len(names) > 1 else np.zeros(0, dtype=np.int64)


def _holding(values: Any, name: str) -> npt.NDArray[np.bool_] | None:
    """Where a column holds its name; None where it cannot, by its type."""
    arrow, compute = require("pyarrow"), require("pyarrow.compute")
    types, kind = arrow.types, values.type
    if name in MISSING or _NAMELESS.fullmatch(name):
        nothing = values.is_null()
        if types.is_string(kind):
            nothing = compute.or_kleene(nothing, compute.equal(values, name if name in MISSING else ""))
        return np.asarray(nothing.fill_null(False).to_numpy())
    if types.is_string(kind):
        texts = compute.utf8_trim_whitespace(values)
        if not name.isascii():
            texts = compute.utf8_normalize(texts, form="NFC")
        same = compute.is_in(texts, value_set=arrow.array([name, f"#{name}", f"# {name}"]))
    elif (types.is_integer(kind) or types.is_floating(kind)) and (number := _number(name)) is not None:
        same = compute.equal(values.cast(arrow.float64()), number)
    elif types.is_temporal(kind):
        same = compute.equal(values.cast(arrow.string()), name)
    else:
        return None
    return np.asarray(same.fill_null(False).to_numpy())


def _number(name: str) -> float | None:
    try:
        number = float(name)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def without(texts: Any, rows: npt.NDArray[np.int64], separator: str) -> Any:
    """A CSV file in memory, UTF-8 and without a header, of a table of texts but for these rows."""
    arrow, csv = require("pyarrow"), require("pyarrow.csv")
    keep = np.ones(texts.num_rows, dtype=bool)
    keep[rows] = False
    out = arrow.BufferOutputStream()
    csv.write_csv(texts.filter(arrow.array(keep)), out, csv.WriteOptions(include_header=False, delimiter=separator))
    return out.getvalue()
