"""Lines of several variants with standard errors, each with its number at its end; what a few sections draw alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from narrows.benchmarks.compare.summary import Figure, Row
from narrows.report.charts import altair, colour, values
from narrows.report.charts import tips as tips_of
from narrows.report.sections.comparing.variants import Variants, edges, spread, with_error

_APART = 12
"""Pixels from one number at the end of a line to the next."""

_MOST_UNDER = 24
"""More points have nothing written under them."""


def logarithmic(places: Sequence[float], title: str, **axis: Any) -> Any:
    """The x axis for points at these places, all above 0."""
    left, right = ends_of(places)
    scale = {"type": "log", "domain": [math.exp(left), math.exp(right)], "nice": False}
    axis = {"format": "~g", "tickCount": 6, "labelOverlap": "greedy", **axis}
    return altair().X("x:Q", title=title, scale=scale, axis=axis)


def ends_of(places: Sequence[float]) -> tuple[float, float]:
    """Of a logarithmic axis for these places, as natural logarithms."""
    return spread([math.log(place) for place in places], least=1.0)


def percentages(low: float, high: float, title: str) -> dict[str, Any]:
    """A y axis of fractions between these."""
    return {"title": title, "scale": {"domain": [low, high], "nice": False, "zero": False}, "axis": {"format": ".3~%"}}


@dataclass(frozen=True)
class LinePoint:
    """Of a line.

    Attributes:
        x: where it is.
        figure: what is drawn there; its mean is known.
        tips: what is said when it is pointed at, by field of the chart.
        under: what stands under it, or "".
        ringed: whether it stands out.
    """

    x: float
    figure: Figure
    tips: dict[str, str]
    under: str = ""
    ringed: bool = False


def task_points(row: Row, figures: Sequence[Figure], aside: float = 0) -> list[LinePoint]:
    """A point for each task whose figure is known, at its place from 1 on, moved `aside`."""
    return [
        LinePoint(place + aside, figure, {"shown": with_error(figure, 2) or "", "task": name})
        for place, (name, figure) in enumerate(zip(row.tasks, figures, strict=False), 1)
        if figure.mean is not None
    ]


def lines(
    series: Sequence[tuple[Row, Sequence[LinePoint]]],
    found: Variants,
    *,
    x: Any,
    y_title: str,
    tips: Mapping[str, str],
    height: int,
    zero: bool = False,
) -> Any:
    """A line for each row that has points.

    Args:
        x: the X of the field `x`.
        tips: what is said of a point: titles by field.
        zero: whether the axis begins at 0.
    """
    alt = altair()
    points: list[dict[str, Any]] = [
        {
            **{key: getattr(found.looks[row.label], key) for key in ("name", "dash", "tag")},
            "x": point.x,
            "y": point.figure.mean,
            **edges(point.figure),
            **point.tips,
            "under": point.under,
            "ringed": point.ringed,
        }
        for row, line in series
        for point in line
    ]
    low, high = spread([point[edge] for point in points for edge in ("low", "high")])
    if zero:
        low = 0.0
    y = percentages(low, high, y_title)
    scales = found.scales([row for row, line in series if line])
    base = alt.Chart(values(points)).encode(x=x)
    ends = _ends([[point for point in points if point["name"] == found.looks[row.label].name] for row, _ in series])
    _move_apart(ends, (high - low) * _APART / height, low, high)
    few = len(points) <= _MOST_UNDER
    under, ringed = ([point for point in points if point[key]] for key in ("under", "ringed"))
    extra = []
    if under and few:
        text = alt.Chart(values(under)).mark_text(dy=15, fontSize=10, color=colour("soft"))
        extra.append(text.encode(x=x, y=alt.Y("y:Q", **y), text="under:N"))
    if ringed:
        ring = alt.Chart(values(ringed)).mark_point(shape="circle", size=260, strokeWidth=1.5, color=colour("ink"))
        extra.append(ring.encode(x=x, y=alt.Y("y:Q", **y)))
    strokes = [
        alt.Chart(values([point for point in points if point["dash"] == dash]))
        .mark_line(strokeWidth=1.5, strokeDash=list(dash))
        .encode(x=x, y=alt.Y("y:Q", **y), color=scales["color"])
        for dash in sorted({point["dash"] for point in points})
    ]
    tags = alt.Chart(values(ends)).mark_text(align="left", dx=8, baseline="middle", fontSize=11, color=colour("ink"))
    return alt.layer(
        *strokes,
        base.mark_rule(strokeWidth=1).encode(y=alt.Y("low:Q", **y), y2="high:Q", color=scales["color"]),
        base.mark_point(size=60, filled=True, opacity=1).encode(y=alt.Y("y:Q", **y), tooltip=tips_of(**tips), **scales),
        tags.encode(x=x, y=alt.Y("at:Q", **y), text="tag:N"),
        *extra,
    )


def _ends(grouped: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Where lines end, for their numbers."""
    last = [max(line, key=lambda point: point["x"]) for line in grouped if line]
    return [{"x": point["x"], "at": point["y"], "tag": point["tag"]} for point in last]


def _move_apart(ends: list[dict[str, Any]], least: float, low: float, high: float) -> None:
    """Numbers that would lie on one another go up and down within the plot, in the order of their lines."""
    for _ in range(60):
        moved = False
        for one, other in _neighbours(ends):
            gap = other["at"] - one["at"]
            if gap < least * 0.99:
                one["at"] -= (least - gap) / 2
                other["at"] += (least - gap) / 2
                moved = True
        for end in ends:
            end["at"] = min(max(end["at"], low), high)
        if not moved:
            return


def _neighbours(ends: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    ordered = sorted(ends, key=lambda end: end["at"])
    return [(one, other) for one, other in pairwise(ordered) if one["x"] == other["x"]]
