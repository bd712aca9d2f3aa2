"""Of the section on who builds on whom: reuse as arcs from the task that has the weights to the one that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from narrows.analysis.overlap import Reuse
from narrows.report.blocks import Chart, Citation, Table
from narrows.report.charts import altair, colour, short_names, spec_of, values
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
    title, explain = say("builds.graph.title"), say("builds.graph.explain" if drawn else "builds.graph.explain_table")
    columns = tuple(say(f"builds.graph.{key}") for key in ("task", "source", "weights"))
    rows = tuple((edge.task, edge.source, say.number(edge.weights)) for edge in edges)
    term = say("builds.graph.term")
    if not drawn:
        return Table(title, explain, term, (source,), columns, rows, frozenset({2}), folded=True)
    table = Table(title, "", "", (), columns, rows, frozenset({2}))
    return Chart(title, explain, term, (source,), "builds-graph", _spec(tasks, edges, explain, say), table)


def _spec(tasks: Sequence[str], edges: Sequence[Reuse], explain: str, say: Texts) -> dict[str, Any]:
    """Tasks on a line from top to bottom, half ellipses beside it; the script computes their points."""
    alt = altair()
    places = {name: place for place, name in enumerate(tasks)}
    cells = [
        {
            "edge": number,
            "from": places[edge.source],
            "to": places[edge.task],
            "task": edge.task,
            "source": edge.source,
            "weights": edge.weights,
        }
        for number, edge in enumerate(edges)
    ]
    dots = [{"label": label, "task": name, "zero": 0} for label, name in zip(short_names(tasks), tasks, strict=True)]
    across = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.01, 1], nice=False))
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
            x=across,
            y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.5, len(tasks) - 0.5], reverse=True, nice=False)),
            order="at:Q",
            detail="edge:N",
            strokeWidth=alt.StrokeWidth(
                "weights:Q",
                title=say("builds.graph.weights"),
                scale=alt.Scale(domain=[0, max(edge.weights for edge in edges)], range=[0.5, 9]),
                legend=alt.Legend(format=",d", symbolStrokeColor=colour("reused"), tickCount=3),
            ),
            tooltip=[
                alt.Tooltip("task:N", title=say("builds.graph.task")),
                alt.Tooltip("source:N", title=say("builds.graph.source")),
                alt.Tooltip("weights:Q", title=say("builds.graph.weights"), format=","),
            ],
        )
    )
    names = (
        alt.Chart(values(dots))
        .mark_point(filled=True, size=50, color=colour("ink"), opacity=1)
        .encode(
            x=alt.X("zero:Q", axis=None, scale=alt.Scale(domain=[-0.01, 1], nice=False)),
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=180)),
            tooltip=[alt.Tooltip("task:N", title=say("builds.task"))],
        )
    )
    chart = alt.layer(names, bows).resolve_scale(y="independent").properties(description=explain)
    return spec_of(chart, height=max(120, 28 * len(tasks)))
