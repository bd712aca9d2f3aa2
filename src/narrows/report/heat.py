"""A matrix as colours: a chart where its cells can be told apart, a picture of pixels where there are too many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narrows.report.blocks import Chart, Citation, Image, Pictures, Table
from narrows.report.charts import altair, spec_of, tips, values
from narrows.report.pixels import scale_png

MOST_CELLS = 55 * 55
"""More are drawn as a picture: a browser is slow with thousands of marks."""
MOST_WRITTEN = 8
"""Columns of a matrix whose cells have room for their numbers, on a phone too."""
_BRIGHT = 0.45
"""From here on black is read better on viridis than white."""
_VIRIDIS = (
    (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
    (31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37),
)  # fmt: skip
_EMPTY = (255, 255, 255)
_WIDEST = 640  # CSS pixels

Matrix = Sequence[Sequence[float | None]]


def heat_map(
    key: str,
    title: str,
    explain: str,
    matrix: Matrix,
    *,
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    value: str,
    show: Callable[[float | None], str],
    axis_format: str = ".1%",
    term: str = "",
    sources: tuple[Citation, ...] = (),
) -> Chart | Pictures:
    """A matrix with named rows and columns; None is left empty.

    Args:
        rows, columns: (what they are, the name of each).
        value: what a cell is.
        show: a value as people read it.
        axis_format: of the legend, as d3 has it.
    """
    if sum(cell is not None for row in matrix for cell in row) > MOST_CELLS:
        return _picture(title, explain, matrix, show, term, sources)
    written = len(columns[1]) <= MOST_WRITTEN
    spec = spec_of_heat(matrix, rows, columns, value, show, axis_format, explain, written)
    body = tuple((rows[1][i], *(None if cell is None else show(cell) for cell in row)) for i, row in enumerate(matrix))
    table = Table(title, "", term, (), (rows[0], *columns[1]), body, frozenset(range(1, len(columns[1]) + 1)))
    return Chart(title, explain, term, sources, key, spec, table)


def spec_of_heat(
    matrix: Matrix,
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    value: str,
    show: Callable[[float | None], str],
    axis_format: str,
    explain: str,
    written: bool,
) -> dict[str, Any]:
    """The chart of `heat_map`, however many cells; `written`: with their numbers in them."""
    alt = altair()
    cells: list[dict[str, Any]] = [
        {"row": rows[1][i], "column": columns[1][j], "value": cell, "shown": show(cell)}
        for i, row in enumerate(matrix)
        for j, cell in enumerate(row)
        if cell is not None
    ]
    shared = alt.Chart(values(cells)).encode(
        x=alt.X("column:N", sort=None, title=columns[0], axis={"labelAngle": -45}),
        y=alt.Y("row:N", sort=None, title=rows[0]),
        tooltip=tips(row=rows[0], column=columns[0], shown=value),
    )
    ink = alt.Color("value:Q", title=value, scale={"scheme": "viridis"}, legend={"format": axis_format})
    chart = shared.mark_rect().encode(color=ink)
    if cells and written:
        chart = alt.layer(chart, _written(shared, [cell["value"] for cell in cells]))
    return spec_of(chart.properties(description=explain), height=max(120, 20 * len(matrix)))


def _written(shared: Any, known: Sequence[float]) -> Any:
    """The numbers, in black or white, whichever is read better on the cell's colour."""
    alt = altair()
    bright = min(known) + _BRIGHT * (max(known) - min(known))
    ink = (
        alt.when(alt.FieldGTEPredicate(field="value", gte=bright)).then(alt.value("#000")).otherwise(alt.value("#fff"))
    )
    return shared.mark_text(fontSize=9).encode(text="shown:N", color=ink)


def _picture(
    title: str,
    explain: str,
    matrix: Matrix,
    show: Callable[[float | None], str],
    term: str,
    sources: tuple[Citation, ...],
) -> Pictures:
    known = [cell for row in matrix for cell in row if cell is not None]
    low, high = min(known), max(known)
    last = len(_SHADES) - 1  # of them white, for what is empty
    width = max(len(row) for row in matrix)
    shades = np.ones((len(matrix), width))
    for at, row in enumerate(matrix):
        for place, cell in enumerate(row):
            if cell is not None:
                shades[at, place] = (cell - low) / ((high - low) or 1.0) * (last - 1) / last
    scale = max(1, _WIDEST // width)
    image = Image(scale_png(shades, _SHADES).png, explain, width * scale, len(matrix) * scale)
    legend = tuple((f"rgb{colour_of(at)}", show(low + at * (high - low))) for at in (0.0, 0.5, 1.0))
    return Pictures(title, explain, term, sources, (image,), legend)


def colour_of(at: float | None) -> tuple[int, int, int]:
    """Viridis between 0 and 1, white for None.

    >>> colour_of(0.0), colour_of(1.0), colour_of(None)
    ((68, 1, 84), (253, 231, 37), (255, 255, 255))
    """
    if at is None:
        return _EMPTY
    place = min(max(at, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    left = min(math.floor(place), len(_VIRIDIS) - 2)
    part = place - left
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(_VIRIDIS[left], _VIRIDIS[left + 1], strict=True))
    return red, green, blue


_SHADES = [*(colour_of(at / 254) for at in range(255)), _EMPTY]
