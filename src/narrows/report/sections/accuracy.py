"""Accuracy: each task when it was learned, after every later task, and against a network of its own."""

from __future__ import annotations

from typing import Any

from narrows.benchmarks.results import Result
from narrows.report.blocks import Block, Chart, Notice, Section, Source, Table
from narrows.report.charts import altair, category, spec_of, values
from narrows.report.facts import Facts
from narrows.report.texts import Texts


def accuracy(facts: Facts, say: Texts) -> Section:
    """What a run has measured; without one a notice."""
    result = facts.result
    blocks: list[Block]
    if result is None or not result.tasks:
        blocks = [Notice(say("accuracy.none"), "warn")]
    else:
        blocks = [_matrix(result, say), _now(result, say)]
    return Section("accuracy", say("accuracy.title"), say("accuracy.lead"), blocks)


def _matrix(result: Result, say: Texts) -> Chart:
    alt = altair()
    names = [task.name for task in result.tasks]
    learned, on, is_ = say("accuracy.after"), say("accuracy.on"), say("accuracy.accuracy")
    cells: list[dict[str, Any]] = [
        {learned: names[i], on: names[j], is_: result.rows[i][j]} for i in range(len(names)) for j in range(i + 1)
    ]
    chart = (
        alt.Chart(values(cells))
        .mark_rect()
        .encode(
            x=alt.X(f"{on}:N", sort=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y(f"{learned}:N", sort=None),
            color=alt.Color(f"{is_}:Q", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(format=".1%")),
            tooltip=[f"{learned}:N", f"{on}:N", alt.Tooltip(f"{is_}:Q", format=".2%")],
        )
        .properties(description=say("accuracy.matrix.explain"))
    )
    rows = tuple(
        (name, *(say.percent(result.rows[i][j]) if j <= i else None for j in range(len(names))))
        for i, name in enumerate(names)
    )
    table = Table(
        say("accuracy.matrix.title"), "", "R", (), (learned, *names), rows, frozenset(range(1, len(names) + 1))
    )
    return Chart(
        say("accuracy.matrix.title"),
        say("accuracy.matrix.explain"),
        "R",
        (Source("result.json", "R"),),
        "accuracy-matrix",
        spec_of(chart, height=max(160, 22 * len(names))),
        table,
    )


def _now(result: Result, say: Texts) -> Chart:
    alt = altair()
    task, which, is_ = say("accuracy.task"), say("accuracy.which"), say("accuracy.accuracy")
    kinds = [say("accuracy.learned"), say("accuracy.now")]
    figures = [[row.accuracy, row.accuracy_now] for row in result.tasks]
    if result.reference is not None:
        kinds.append(say("accuracy.independent"))
        for row, alone in zip(figures, result.reference["accuracy"], strict=False):
            row.append(alone)
    points = [
        {task: row.name, which: kind, is_: value}
        for row, found in zip(result.tasks, figures, strict=True)
        for kind, value in zip(kinds, found, strict=False)
    ]
    shapes = alt.Scale(domain=kinds, range=["circle", "cross", "diamond"][: len(kinds)])
    colours = alt.Scale(domain=kinds, range=[category(place) for place in range(len(kinds))])
    chart = (
        alt.Chart(values(points))
        .mark_point(size=70, strokeWidth=2)
        .encode(
            x=alt.X(f"{task}:N", sort=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y(f"{is_}:Q", scale=alt.Scale(zero=False), axis=alt.Axis(format=".1%")),
            color=alt.Color(f"{which}:N", scale=colours),
            shape=alt.Shape(f"{which}:N", scale=shapes),
            tooltip=[f"{task}:N", f"{which}:N", alt.Tooltip(f"{is_}:Q", format=".2%")],
        )
        .properties(description=say("accuracy.per_task.explain"))
    )
    rows = tuple(
        (row.name, *(say.percent(value) for value in found)) for row, found in zip(result.tasks, figures, strict=True)
    )
    title = say("accuracy.per_task.title")
    return Chart(
        title,
        say("accuracy.per_task.explain"),
        "R[i,i], R[T,i]",
        (Source("result.json", "tasks.accuracy, tasks.accuracy_now, reference.accuracy"),),
        "accuracy-tasks",
        spec_of(chart, height=260),
        Table(title, "", "", (), (task, *kinds), rows, frozenset(range(1, len(kinds) + 1))),
    )
