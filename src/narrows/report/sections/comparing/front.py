"""Of a comparison: what accuracy costs in weights and in bytes, and who is beaten by no other (Pareto)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from narrows.benchmarks.compare.summary import Row
from narrows.report.blocks import Block, Chart, Notice, Section, Table
from narrows.report.charts import altair, colour, spec_of, values
from narrows.report.facts import Facts
from narrows.report.sections.comparing.labels import named, sides
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
        chart = _scatter(key, figure, found, say)
        if chart is None:
            blocks.append(Notice(say(f"front.{key}.none"), "warn"))
        else:
            blocks.append(chart)
            blocks += _left_out(key, figure, found, say)
    return Section("front", say("front.title"), say("front.lead"), blocks)


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


def _left_out(key: str, figure: str, found: Variants, say: Texts) -> list[Block]:
    names = [row.label for row in found.longest if not _is_shown(row, figure)]
    return [Notice(say(f"front.{key}.without", names=", ".join(names)), "warn")] if names else []


def _scatter(key: str, figure: str, found: Variants, say: Texts) -> Chart | None:
    rows = [row for row in found.longest if _is_shown(row, figure)]
    if not rows:
        return None
    places = [(mean_of(row, figure) or 0.0, mean_of(row, "ACC") or 0.0) for row in rows]
    best = pareto(places)
    title = say(f"front.{key}.title")
    explain = say.sentences(say(f"front.{key}.explain"), *found.only_longest(say))
    columns = tuple(say(f"front.{column}") for column in ("method", "epochs", f"{key}.axis", "acc", "on"))
    body = tuple(
        (
            found.looks[row.label].name,
            say.number(row.epochs),
            _shown(key, place[0], say),
            with_error(row.figures["ACC"], 2),
            say("front.yes") if place in best else say("front.no"),
        )
        for row, place in sorted(zip(rows, places, strict=True), key=lambda pair: pair[1])
    )
    table = Table(title, "", "", (), columns, body, frozenset({1, 2, 3}))
    spec = _spec(key, rows, places, best, explain, found, say)
    sources = found.source("figures.ACC", f"figures.{figure}")
    return Chart(title, explain, say("front.term"), sources, f"front-{key}", spec, table)


def _shown(key: str, value: float, say: Texts) -> str:
    return say.bytes(value) if key == "bytes" else say.percent(value, 2)


def _spec(
    key: str,
    rows: Sequence[Row],
    places: Sequence[tuple[float, float]],
    best: Sequence[tuple[float, float]],
    explain: str,
    found: Variants,
    say: Texts,
) -> dict[str, Any]:
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
    left, right = spread([math.log(x) for x, _ in places], least=1.0)
    across = alt.X(
        "x:Q",
        title=say(f"front.{key}.axis"),
        scale=alt.Scale(type="log", domain=[math.exp(left), math.exp(right)], nice=False),
        axis=alt.Axis(format=".2~s" if key == "bytes" else ".2~%", tickCount=6, labelOverlap="greedy", grid=True),
    )
    up = alt.Y(
        "y:Q",
        title="ACC",
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(format=".3~%"),
    )

    def at(x: float, y: float) -> tuple[float, float]:
        return (math.log(x) - left) / (right - left), (high - y) / (high - low)

    strokes = [(at(point["x"], point["low"]), at(point["x"], point["high"])) for point in points]
    for (x, y), (next_x, next_y) in pairwise(best):
        strokes += [(at(x, y), at(next_x, y)), (at(next_x, y), at(next_x, next_y))]
    where = sides([at(x, y) for x, y in places], [point["name"] for point in points], _HEIGHT, strokes)
    scales = found.scales(rows)
    tips = [
        alt.Tooltip("name:N", title=say("front.method")),
        alt.Tooltip("shown:N", title=say(f"front.{key}.axis")),
        alt.Tooltip("acc:N", title="ACC"),
    ]
    base = alt.Chart(values(points))
    layers = []
    if len(best) > 1:
        line = alt.Chart(values([{"x": x, "y": y} for x, y in best]))
        layers.append(
            line.mark_line(interpolate="step-after", color=colour("soft"), strokeWidth=1.5, strokeDash=[5, 4]).encode(
                x=across, y=up
            )
        )
    layers += [
        base.mark_rule(strokeWidth=1.5).encode(
            x=across, y=alt.Y("low:Q", title="ACC"), y2="high:Q", color=scales["color"]
        ),
        base.mark_point(size=110, strokeWidth=2, filled=True, opacity=1).encode(x=across, y=up, tooltip=tips, **scales),
        *named(points, across, up, where),
    ]
    return spec_of(alt.layer(*layers).properties(description=explain), height=_HEIGHT)
