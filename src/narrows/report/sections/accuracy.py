"""Accuracy: each task when it was learned, after every later task, and against a network of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from narrows.benchmarks.results import Result
from narrows.report.block_makers import chart, section, table, warning
from narrows.report.blocks import Block, Chart, Citation, Pictures, Section
from narrows.report.charts import altair, category, kinds, tips, values
from narrows.report.facts import Facts, score_of, scores_of
from narrows.report.heat import heat_map
from narrows.report.texts import Texts
from narrows.store import TaskRecord

_SCORES = ("accuracy", "r2", "micro_f1", "macro_f1", "mean_average_precision", "log_loss")
"""Of `narrows.production.scores`, those that are one number, in the order shown."""
_MOST_NAMES = 60
"""More tasks are not named on an axis."""


def accuracy(facts: Facts, say: Texts) -> Section:
    """What a run has measured, and what was measured when a store's tasks were learned."""
    blocks: list[Block] = []
    result = facts.result
    if result is not None and result.tasks:
        blocks.append(_per_task(result, say))
        if sum(cell is not None for i, row in enumerate(result.rows) for cell in row[: i + 1]) > 1:
            names = [task.name for task in result.tasks]
            blocks.append(matrix("accuracy", "accuracy-matrix", result.rows, names, Citation("result.json", "R"), say))
    validated = [record for record in facts.records if scores_of(record)]
    if validated:
        blocks.append(_when_learned(facts, validated, say))
    without = [record.name for record in facts.records if not scores_of(record)]
    if without and result is None:
        names_ = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
        blocks.append(warning(say, "accuracy.unmeasured", "narrows evaluate", count=len(without), names=names_))
    return section(say, "accuracy", blocks or [warning(say, "accuracy.none")])


def matrix(
    key: str, name: str, rows: Sequence[Sequence[float | None]], names: Sequence[str], source: Citation, say: Texts
) -> Chart | Pictures:
    """R below its diagonal: accuracy on a task (columns) after each (rows); with the words of `KEY.matrix`."""
    title, explain, _ = say.told(f"{key}.matrix")
    learned = [[cell if j <= i else None for j, cell in enumerate(row[: len(names)])] for i, row in enumerate(rows)]
    return heat_map(
        name,
        title,
        explain,
        learned,
        rows=(say(f"{key}.after"), names[: len(learned)]),
        columns=(say(f"{key}.on"), names),
        value=say(f"{key}.accuracy"),
        show=say.percent,
        term="R",
        sources=(source,),
    )


def _per_task(result: Result, say: Texts) -> Chart:
    titles = ["learned", "now"]
    figures: list[list[float | None]] = [[row.accuracy, row.accuracy_now] for row in result.tasks]
    sources = "tasks.accuracy, tasks.accuracy_now"
    if result.reference is not None:
        titles.append("independent")
        sources += ", reference.accuracy"
        alone = list(result.reference["accuracy"])
        for place, row in enumerate(figures):
            row.append(alone[place] if place < len(alone) else None)
    names, which = [row.name for row in result.tasks], say.each("accuracy", *titles)
    body = (
        (name, *(None if value is None else say.percent(value) for value in found))
        for name, found in zip(names, figures, strict=True)
    )
    drawn, source = _points(names, which, figures, say), Citation("result.json", sources)
    columns = (say("accuracy.task"), *which)
    return chart(say, "accuracy.per_task", "accuracy-tasks", drawn, 260, columns, body, source, term="R[i,i], R[T,i]")


def _points(names: Sequence[str], which: Sequence[str], figures: Sequence[Sequence[float | None]], say: Texts) -> Any:
    """A mark for each task and kind."""
    alt = altair()
    points = [
        {"place": place, "task": name, "kind": kind, "value": value, "shown": say.percent(value, 2)}
        for place, (name, found) in enumerate(zip(names, figures, strict=True), 1)
        for kind, value in zip(which, found, strict=True)
        if value is not None
    ]
    task, value = say.each("accuracy", "task", "accuracy")
    across = (
        alt.X("task:N", sort=None, title=task, axis={"labelAngle": -45})
        if len(names) <= _MOST_NAMES
        else alt.X("place:Q", title=task)
    )
    shapes = {"domain": list(which), "range": ["circle", "cross", "diamond"][: len(which)]}
    return (
        alt.Chart(values(points))
        .mark_point(size=70, strokeWidth=2)
        .encode(
            x=across,
            y=alt.Y("value:Q", title=value, scale={"zero": False}, axis={"format": ".1%"}),
            color=kinds("kind", which, [category(place) for place in range(len(which))]),
            shape=alt.Shape("kind:N", title=None, scale=shapes),
            tooltip=tips(task=task, kind=say("accuracy.which"), shown=value),
        )
    )


def _when_learned(facts: Facts, records: Sequence[TaskRecord], say: Texts) -> Block:
    """A table of what `narrows learn` measured on validation data, and a chart where there are accuracies."""
    shown = [name for name in _SCORES if any(score_of(record, name) is not None for record in records)]
    rows = (
        (record.name, say.number(score_of(record, "examples")), *(_shown(record, name, say) for name in shown))
        for record in records
    )
    titles = say.each("accuracy", "task", "examples", *(f"score.{name}" for name in shown))
    source = Citation(f"{facts.store_folder}tasks/*/task.json", "metrics.validation")
    found = table(say, "accuracy.validation", titles, rows, source)
    accuracies = [(record.name, score_of(record, "accuracy")) for record in records]
    known = [(name, value) for name, value in accuracies if value is not None]
    if len(known) < 2:
        return found
    drawn = _points([name for name, _ in known], [say("accuracy.learned")], [[value] for _, value in known], say)
    made = chart(say, "accuracy.validation", "accuracy-validation", drawn, 260, (), (), source)
    return replace(made, table=found)


def _shown(record: TaskRecord, name: str, say: Texts) -> str | None:
    value = score_of(record, name)
    if value is None:
        return None
    return say.number(value, 3) if name in ("r2", "log_loss") else say.percent(value)
