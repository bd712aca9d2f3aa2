"""Of a comparison: what accuracy costs in weights and in bytes, and who is beaten by no other (Pareto)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from narrows.benchmarks.compare.summary import Row
from narrows.report.block_makers import chart, section, warning
from narrows.report.blocks import Block, Chart, Section
from narrows.report.charts import altair, colour, tips, values
from narrows.report.facts import Facts
from narrows.report.sections.comparing.labels import named, sides
from narrows.report.sections.comparing.lines import ends_of, logarithmic, percentages
from narrows.report.sections.comparing.variants import Variants, edges, mean_of, spread, with_error
from narrows.report.texts import Texts

_HEIGHT = 330


def front(facts: Facts, say: Texts) -> Section | None:
    """Two charts: against density, and against bytes on disk."""
    found = Variants.of(facts)
    if found is None or not found.done:
        return None
    blocks: list[Block] = []
    for key, figure in (("density", "density"), ("bytes", "bytes_per_task")):
        rows = [row for row in found.longest if _is_shown(row, figure)]
        blocks.append(_scatter(key, figure, rows, found, say) if rows else warning(say, f"front.{key}.none"))
        left_out = ", ".join(row.label for row in found.longest if row not in rows)
        blocks += [warning(say, f"front.{key}.without", names=left_out)] if rows and left_out else []
    return section(say, "front", blocks)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, worth) the points that no other beats: none costs as little or less and is worth more.

    >>> pareto([(0.1, 0.9), (0.03, 0.8), (0.2, 0.85), (0.03, 0.7)])
    [(0.03, 0.8), (0.1, 0.9)]
    """
    front: list[tuple[float, float]] = []
    for cost, worth in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or worth > front[-1][1]:
            front.append((cost, worth))
    return front


def _is_shown(row: Row, figure: str) -> bool:
    """On a logarithmic axis 0 has no place."""
    return bool(mean_of(row, figure)) and (mean_of(row, figure) or 0.0) > 0 and mean_of(row, "ACC") is not None


def _scatter(key: str, figure: str, rows: Sequence[Row], found: Variants, say: Texts) -> Chart:
    places = [(mean_of(row, figure) or 0.0, mean_of(row, "ACC") or 0.0) for row in rows]
    best = pareto(places)
    body = (
        (
            found.looks[row.label].name,
            say.number(row.epochs),
            _shown(key, place[0], say),
            with_error(row.figures["ACC"], 2),
            say("front.yes") if place in best else say("front.no"),
        )
        for row, place in sorted(zip(rows, places, strict=True), key=lambda pair: pair[1])
    )
    columns = say.each("front", "method", "epochs", f"{key}.axis", "acc", "on")
    drawn, sources = _drawn(key, rows, places, best, found, say), found.source("figures.ACC", f"figures.{figure}")
    explain = say.sentences(say(f"front.{key}.explain"), *found.only_longest(say))
    return chart(
        say, f"front.{key}", f"front-{key}", drawn, _HEIGHT, columns, body, *sources,
        text=(0, 4), explain=explain, term=say("front.term"),
    )  # fmt: skip


def _shown(key: str, value: float, say: Texts) -> str:
    return say.bytes(value) if key == "bytes" else say.percent(value, 2)


def _drawn(
    key: str,
    rows: Sequence[Row],
    places: Sequence[tuple[float, float]],
    best: Sequence[tuple[float, float]],
    found: Variants,
    say: Texts,
) -> Any:
    alt = altair()
    points: list[dict[str, Any]] = [
        {
            "name": found.looks[row.label].name,
            "tag": found.looks[row.label].tag,
            "x": x,
            "y": y,
            **edges(row.figures["ACC"]),
            "shown": _shown(key, x, say),
            "acc": with_error(row.figures["ACC"], 2),
        }
        for row, (x, y) in zip(rows, places, strict=True)
    ]
    low, high = spread([point[edge] for point in points for edge in ("low", "high")])
    left, right = ends_of([x for x, _ in places])
    axis = say(f"front.{key}.axis")
    across = logarithmic([x for x, _ in places], axis, format=".2~s" if key == "bytes" else ".2~%", grid=True)
    up = alt.Y("y:Q", **percentages(low, high, "ACC"))

    def at(x: float, y: float) -> tuple[float, float]:
        return (math.log(x) - left) / (right - left), (high - y) / (high - low)

    strokes = [(at(point["x"], point["low"]), at(point["x"], point["high"])) for point in points]
    for (x, y), (next_x, next_y) in pairwise(best):
        strokes += [(at(x, y), at(next_x, y)), (at(next_x, y), at(next_x, next_y))]
    where = sides([at(x, y) for x, y in places], [point["name"] for point in points], _HEIGHT, strokes)
    scales, told = found.scales(rows), tips(name=say("front.method"), shown=axis, acc="ACC")
    base = alt.Chart(values(points)).encode(x=across)
    layers = []
    if len(best) > 1:
        line = alt.Chart(values([{"x": x, "y": y} for x, y in best])).encode(x=across, y=up)
        steps = {"interpolate": "step-after", "strokeWidth": 1.5, "strokeDash": [5, 4]}
        layers.append(line.mark_line(color=colour("soft"), **steps))
    bars = base.mark_rule(strokeWidth=1.5)
    return alt.layer(
        *layers,
        bars.encode(y=alt.Y("low:Q", title="ACC"), y2="high:Q", color=scales["color"]),
        base.mark_point(size=110, strokeWidth=2, filled=True, opacity=1).encode(y=up, tooltip=told, **scales),
        *named(points, across, up, where),
    )
