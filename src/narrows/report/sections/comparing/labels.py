"""Names beside the points of a scatter, put where they cover the least, worked out for a plot of usual width.

On a narrow plot a point has its number only, which the legend explains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from narrows.report.charts import altair, colour, values

WIDTH: Final = 900
"""Of the plot that places are worked out for, in pixels."""
NARROW: Final = 560
"""Below it numbers stand in for names."""
_LETTER, _LINE, _ASIDE, _MARK = 6.4, 13.0, 9.0, 6.0  # pixels
_TRIES: Final = (
    ("right", 1, 0), ("left", -1, 0), ("above", 0, -1), ("below", 0, 1),
    ("above right", 1, -1), ("below right", 1, 1), ("above left", -1, -1), ("below left", -1, 1),
)  # fmt: skip
"""(where, to the right, down)."""


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: _Box) -> float:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)


Place = tuple[float, float]
"""Fractions of the plot: from the left, from above."""


def sides(
    places: Sequence[Place], names: Sequence[str], height: float, strokes: Sequence[tuple[Place, Place]] = ()
) -> list[str]:
    """On which side each point has its name.

    Args:
        strokes: upright and level lines that names had better not lie on, by their ends.

    >>> sides([(0.1, 0.5), (0.95, 0.5)], ["ibm", "a long name of a method"], 300)
    ['right', 'left']
    """
    points = [(x * WIDTH, y * height) for x, y in places]
    taken = [_Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in points]
    taken += [_line(one, other, height) for one, other in strokes]
    inside = _Box(0, 0, WIDTH, height)
    chosen = []
    for (x, y), name in zip(points, names, strict=True):
        best = min(
            ((_cost(box := _box(x, y, right, down, name), taken, inside), at, where, box))
            for at, (where, right, down) in enumerate(_TRIES)
        )
        taken.append(best[3])
        chosen.append(best[2])
    return chosen


def _line(one: Place, other: Place, height: float) -> _Box:
    """As a thin box."""
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return _Box(left * WIDTH - 2, top * height - 2, right * WIDTH + 2, bottom * height + 2)


def _box(x: float, y: float, right: int, down: int, name: str) -> _Box:
    wide = _LETTER * sum(1 if letter.isascii() else 2 for letter in name)
    left = x + _ASIDE if right > 0 else x - _ASIDE - wide if right < 0 else x - wide / 2
    middle = y + down * (_LINE if right == 0 else 0.8 * _LINE)
    return _Box(left, middle - _LINE / 2, left + wide, middle + _LINE / 2)


def _cost(box: _Box, taken: Sequence[_Box], inside: _Box) -> float:
    outside = (box.right - box.left) * (box.bottom - box.top) - box.covers(inside)
    return sum(box.covers(other) for other in taken) + 3 * outside


def named(rows: Sequence[Mapping[str, Any]], x: Any, y: Any, at: Sequence[str]) -> list[Any]:
    """Layers with a text for each row, which has `name` and `tag`: one layer for each side in use.

    Args:
        x, y: encodings of the points.
        at: the side of each row, of `sides`.
    """
    alt = altair()
    layers = []
    for where, right, down in _TRIES:
        shown = [row for row, side in zip(rows, at, strict=True) if side == where]
        if shown:
            mark = {
                "align": "left" if right > 0 else "right" if right < 0 else "center",
                "dx": _ASIDE * right,
                "dy": down * math.ceil(_LINE if right == 0 else 0.8 * _LINE),
            }
            layers.append(
                alt.Chart(values(shown))
                .transform_calculate(text=f"width < {NARROW} ? datum.tag : datum.name")
                .mark_text(baseline="middle", fontSize=11, color=colour("ink"), **mark)
                .encode(x=x, y=y, text="text:N")
            )
    return layers
