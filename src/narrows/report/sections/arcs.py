"""Of the section on who builds on whom: reuse as arcs from the task that has the weights to the one that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from narrows.analysis.overlap import Reuse
from narrows.report.block_makers import chart, table
from narrows.report.blocks import Chart, Citation, Table
from narrows.report.charts import altair, colour, short_names, tips, values
from narrows.report.texts import Texts

MOST_EDGES: Final = 150
"""The thickest are shown."""
_POINTS: Final = 12
"""Straight pieces that an arc is made of."""


def strongest(edges: Sequence[Reuse]) -> list[Reuse]:
    """The edges with the most weights, the most first."""
    return sorted(edges, key=lambda edge: -edge.weights)[:MOST_EDGES]


def arcs(tasks: Sequence[str], edges: Sequence[Reuse], say: Texts, source: Citation, *, drawn: bool) -> Chart | Table:
    """The graph of who reuses whose weights; as a table alone where it is not `drawn`."""
    key = "builds.graph"
    columns = say.each(key, "task", "source", "weights")
    rows = ((edge.task, edge.source, say.number(edge.weights)) for edge in edges)
    if not drawn:
        explain = say(f"{key}.explain_table")
        return table(say, key, columns, rows, source, text=(0, 1), folded=True, explain=explain)
    height = max(120, 28 * len(tasks))
    return chart(say, key, "builds-graph", _drawn(tasks, edges, say), height, columns, rows, source, text=(0, 1))


def _drawn(tasks: Sequence[str], edges: Sequence[Reuse], say: Texts) -> Any:
    """Tasks on a line from top to bottom, half ellipses beside it; the script computes their points."""
    alt = altair()
    places = {name: place for place, name in enumerate(tasks)}
    task, source, weights = say.each("builds.graph", "task", "source", "weights")
    cells = [
        {"edge": number, "from": places[edge.source], "to": places[edge.task], **asdict(edge)}
        for number, edge in enumerate(edges)
    ]
    dots = [{"label": label, "task": name, "zero": 0} for label, name in zip(short_names(tasks), tasks, strict=True)]
    sides = {"domain": [-0.01, 1], "nice": False}
    down = {"domain": [-0.5, len(tasks) - 0.5], "reverse": True, "nice": False}
    bows = (
        alt.Chart(values(cells))
        .transform_calculate(at=f"sequence(0, {_POINTS + 1})")
        .transform_flatten(["at"])
        .transform_calculate(
            x=f"sin(PI * datum.at / {_POINTS}) * (datum.to - datum.from) / {max(len(tasks) - 1, 1)}",
            y=f"(datum.from + datum.to - (datum.to - datum.from) * cos(PI * datum.at / {_POINTS})) / 2",
        )
        .mark_line(opacity=0.55, interpolate="cardinal", color=colour("reused"))
        .encode(
            x=alt.X("x:Q", axis=None, scale=sides),
            y=alt.Y("y:Q", axis=None, scale=down),
            order="at:Q",
            detail="edge:N",
            strokeWidth=alt.StrokeWidth(
                "weights:Q",
                title=weights,
                scale={"domain": [0, max(edge.weights for edge in edges)], "range": [0.5, 9]},
                legend={"format": ",d", "symbolStrokeColor": colour("reused"), "tickCount": 3},
            ),
            tooltip=[*tips(task=task, source=source), alt.Tooltip("weights:Q", title=weights, format=",")],
        )
    )
    names = (
        alt.Chart(values(dots))
        .mark_point(filled=True, size=50, color=colour("ink"), opacity=1)
        .encode(
            x=alt.X("zero:Q", axis=None, scale=sides),
            y=alt.Y("label:N", sort=None, title=None, axis={"domain": False, "ticks": False, "labelLimit": 180}),
            tooltip=tips(task=say("builds.task")),
        )
    )
    return alt.layer(names, bows).resolve_scale(y="independent")
