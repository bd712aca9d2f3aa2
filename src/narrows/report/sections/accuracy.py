"""Accuracy: each task when it was learned, after every later task, and against a network of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.benchmarks.results import Result
from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Table
from narrows.report.charts import altair, category, spec_of, values
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
        blocks += [_per_task(result, say), *_matrix(result, say)]
    validated = [record for record in facts.records if scores_of(record)]
    if validated:
        blocks += _when_learned(facts, validated, say)
    without = [record.name for record in facts.records if not scores_of(record)]
    if without and result is None:
        names = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
        blocks.append(Notice(say("accuracy.unmeasured", count=len(without), names=names), "warn", "narrows evaluate"))
    if not blocks:
        blocks.append(Notice(say("accuracy.none"), "warn"))
    return Section("accuracy", say("accuracy.title"), say("accuracy.lead"), blocks)


def _matrix(result: Result, say: Texts) -> list[Block]:
    names = [task.name for task in result.tasks]
    learned = [
        [cell if j <= i else None for j, cell in enumerate(row[: len(names)])] for i, row in enumerate(result.rows)
    ]
    if sum(cell is not None for row in learned for cell in row) < 2:
        return []
    return [
        heat_map(
            "accuracy-matrix",
            say("accuracy.matrix.title"),
            say("accuracy.matrix.explain"),
            learned,
            rows=(say("accuracy.after"), names[: len(learned)]),
            columns=(say("accuracy.on"), names),
            value=say("accuracy.accuracy"),
            show=say.percent,
            term="R",
            sources=(Citation("result.json", "R"),),
        )
    ]


def _per_task(result: Result, say: Texts) -> Chart:
    kinds = [say("accuracy.learned"), say("accuracy.now")]
    figures: list[list[float | None]] = [[row.accuracy, row.accuracy_now] for row in result.tasks]
    sources = "tasks.accuracy, tasks.accuracy_now"
    if result.reference is not None:
        kinds.append(say("accuracy.independent"))
        sources += ", reference.accuracy"
        alone = list(result.reference["accuracy"])
        for place, row in enumerate(figures):
            row.append(alone[place] if place < len(alone) else None)
    names = [row.name for row in result.tasks]
    title, explain = say("accuracy.per_task.title"), say("accuracy.per_task.explain")
    body = tuple(
        (name, *(None if value is None else say.percent(value) for value in found))
        for name, found in zip(names, figures, strict=True)
    )
    table = Table(title, "", "", (), (say("accuracy.task"), *kinds), body, frozenset(range(1, len(kinds) + 1)))
    spec = _points(names, kinds, figures, explain, say)
    return Chart(title, explain, "R[i,i], R[T,i]", (Citation("result.json", sources),), "accuracy-tasks", spec, table)


def _points(
    names: Sequence[str], kinds: Sequence[str], figures: Sequence[Sequence[float | None]], explain: str, say: Texts
) -> dict[str, Any]:
    """A mark for each task and kind."""
    alt = altair()
    points = [
        {"place": place, "task": name, "kind": kind, "value": value, "shown": say.percent(value, 2)}
        for place, (name, found) in enumerate(zip(names, figures, strict=True), 1)
        for kind, value in zip(kinds, found, strict=True)
        if value is not None
    ]
    shapes = alt.Scale(domain=list(kinds), range=["circle", "cross", "diamond"][: len(kinds)])
    colours = alt.Scale(domain=list(kinds), range=[category(place) for place in range(len(kinds))])
    across = (
        alt.X("task:N", sort=None, title=say("accuracy.task"), axis=alt.Axis(labelAngle=-45))
        if len(names) <= _MOST_NAMES
        else alt.X("place:Q", title=say("accuracy.task"))
    )
    return spec_of(
        alt.Chart(values(points))
        .mark_point(size=70, strokeWidth=2)
        .encode(
            x=across,
            y=alt.Y(
                "value:Q", title=say("accuracy.accuracy"), scale=alt.Scale(zero=False), axis=alt.Axis(format=".1%")
            ),
            color=alt.Color("kind:N", title=None, scale=colours),
            shape=alt.Shape("kind:N", title=None, scale=shapes),
            tooltip=[
                alt.Tooltip("task:N", title=say("accuracy.task")),
                alt.Tooltip("kind:N", title=say("accuracy.which")),
                alt.Tooltip("shown:N", title=say("accuracy.accuracy")),
            ],
        )
        .properties(description=explain),
        height=260,
    )


def _when_learned(facts: Facts, records: Sequence[TaskRecord], say: Texts) -> list[Block]:
    """Tables of what `narrows learn` measured on validation data, and a chart where there are accuracies."""
    shown = [name for name in _SCORES if any(score_of(record, name) is not None for record in records)]
    rows = tuple(
        (record.name, say.number(score_of(record, "examples")), *(_shown(record, name, say) for name in shown))
        for record in records
    )
    titles = (say("accuracy.task"), say("accuracy.examples"), *(say(f"accuracy.score.{name}") for name in shown))
    title, explain = say("accuracy.validation.title"), say("accuracy.validation.explain")
    sources = (Citation(f"{facts.store_folder}tasks/*/task.json", "metrics.validation"),)
    table = Table(title, explain, "", sources, titles, rows, frozenset(range(1, len(titles))))
    accuracies = [(record.name, score_of(record, "accuracy")) for record in records]
    known = [(name, value) for name, value in accuracies if value is not None]
    if len(known) < 2:
        return [table]
    names, found = [name for name, _ in known], [[value] for _, value in known]
    spec = _points(names, [say("accuracy.learned")], found, explain, say)
    return [Chart(title, explain, "", sources, "accuracy-validation", spec, table)]


def _shown(record: TaskRecord, name: str, say: Texts) -> str | None:
    value = score_of(record, name)
    if value is None:
        return None
    return say.number(value, 3) if name in ("r2", "log_loss") else say.percent(value)
