"""How it was trained: seconds, loss, size of the sub-network, log alpha, learning rate, scores, settings, by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Selector, Stat, Stats, Table
from narrows.report.charts import along, altair, colour, spec_of, values
from narrows.report.facts import Facts
from narrows.report.sections.courses import courses, overlaid, thinned
from narrows.report.texts import Texts
from narrows.training import History, Schedule

MOST_CHOICES: Final = 25
"""Tasks that can be picked."""
MOST_OVERLAID: Final = 10
"""More losses in one chart cannot be told apart."""
_LETTERS: Final = 80
_MOST_NAMES: Final = 5


def training(facts: Facts, say: Texts) -> Section:
    """What the records of the tasks, or a result, tell of their training."""
    blocks: list[Block] = []
    if not facts.names:
        blocks.append(Notice(say("training.none"), "warn"))
    else:
        blocks += _seconds(facts, say)
        blocks += _histories(facts, say)
        blocks += _settings(facts, say)
    return Section("training", say("training.title"), say("training.lead"), blocks)


def _times(facts: Facts) -> tuple[list[tuple[str, float | None]], Citation]:
    """(task, seconds) of each, and where that stands."""
    if facts.reader is not None:
        source = Citation(f"{facts.store_folder}tasks/*/task.json", "seconds")
        return [(record.name, record.seconds) for record in facts.records], source
    tasks = facts.result.tasks if facts.result is not None else []
    return [(task.name, task.seconds) for task in tasks], Citation("result.json", "tasks.seconds")


def _seconds(facts: Facts, say: Texts) -> list[Block]:
    times, source = _times(facts)
    known = [seconds for _, seconds in times if seconds is not None]
    if not known:
        return [Notice(say("training.no_seconds"), "warn")]
    stats = [
        _stat(say, "total", say.seconds(sum(known)), source),
        _stat(say, "mean", say.seconds(sum(known) / len(known)), source),
    ]
    ratio = facts.result.metrics()["step_ratio"] if facts.result is not None and facts.result.tasks else None
    if ratio is not None:
        stats.append(
            _stat(say, "ratio", f"{say.number(ratio, 3)}\u00d7", Citation("result.json", "metrics.step_ratio"))
        )
    blocks: list[Block] = [Stats(tuple(stats))]
    if ratio is None and facts.result is not None:
        blocks.append(Notice(say("training.no_ratio"), "plain", "narrows run ... --reference"))
    return [*blocks, _per_task(times, say, source)]


def _stat(say: Texts, key: str, value: str, source: Citation) -> Stat:
    title, explain, term = (say(f"training.{key}.{part}") for part in ("title", "explain", "term"))
    return Stat(title, explain, term, (source,), value)


def _per_task(times: Sequence[tuple[str, float | None]], say: Texts, source: Citation) -> Chart:
    alt = altair()
    across, rows = along([name for name, _ in times], say("training.task"))
    cells = [
        row | {"value": seconds, "shown": say.seconds(seconds)}
        for row, (_, seconds) in zip(rows, times, strict=True)
        if seconds is not None
    ]
    title, explain = say("training.seconds.title"), say("training.seconds.explain")
    chart = (
        alt.Chart(values(cells))
        .mark_bar(color=colour("c1"))
        .encode(
            x=across,
            y=alt.Y("value:Q", title=say("training.seconds.axis")),
            tooltip=[
                alt.Tooltip("task:N", title=say("training.task")),
                alt.Tooltip("shown:N", title=say("training.seconds.axis")),
            ],
        )
        .properties(description=explain)
    )
    body = tuple((name, None if seconds is None else say.seconds(seconds)) for name, seconds in times)
    table = Table(title, "", "", (), (say("training.task"), say("training.seconds.axis")), body, frozenset({1}))
    term = say("training.seconds.term")
    return Chart(title, explain, term, (source,), "training-seconds", spec_of(chart, height=200), table)


def _histories(facts: Facts, say: Texts) -> list[Block]:
    """The course of the training of each task that kept it, and who did not."""
    blocks: list[Block] = []
    kept = {name: found for name, found in facts.histories.items() if isinstance(found, History)}
    source = Citation(f"{facts.store_folder}tasks/*/task.json", "history")
    if 1 < len(kept) <= MOST_OVERLAID and (chart := overlaid(kept, say, source)) is not None:
        blocks.append(chart)
    if kept:
        shown = _evenly([name for name in kept if name in facts.pictured] or list(kept), MOST_CHOICES)
        options = tuple(
            (name, tuple(courses(thinned(kept[name], len(shown)), place, say, source)))
            for place, name in enumerate(shown, 1)
        )
        blocks.append(Selector("training-task", say("training.pick"), options))
        if len(shown) < len(kept):
            blocks.append(Notice(say("training.cut", shown=len(shown), tasks=len(kept))))
    for name, found in facts.histories.items():
        if isinstance(found, Exception):
            blocks.append(Notice(say("training.damaged", task=name, error=found), "bad"))
    without = [name for name, found in facts.histories.items() if found is None]
    if facts.reader is None:
        blocks.append(Notice(say("training.no_store"), "warn"))
    elif without:
        names = ", ".join(without[:_MOST_NAMES]) + (", ..." if len(without) > _MOST_NAMES else "")
        blocks.append(Notice(say("training.without", count=len(without), names=names), "warn"))
    return blocks


def _evenly(names: Sequence[str], most: int) -> list[str]:
    """The first, the last and others evenly between them."""
    if len(names) <= most:
        return list(names)
    return [names[round(at * (len(names) - 1) / (most - 1))] for at in range(most)]


def _settings(facts: Facts, say: Texts) -> list[Block]:
    """How training was set up: by task from the records, for the run from the result."""
    blocks: list[Block] = []
    if facts.records:
        rows = []
        for record in facts.records:
            found = facts.histories[record.name]
            schedule, steps = (found.schedule, found.steps) if isinstance(found, History) else (Schedule(), None)
            rows.append((record.name, str(record.method.get("name", "")), *_scheduled(schedule, steps, say)))
        keys = ("task", "method", "optimizer", "lr", "schedule", "epochs", "batch_size", "examples", "steps", "shrinks")
        columns = tuple(say(f"training.settings.{key}") for key in keys)
        file = f"{facts.store_folder}tasks/*/task.json"
        sources: tuple[Citation, ...] = (Citation(file, "method"), Citation(file, "history"))
        title, explain = say("training.settings.title"), say("training.settings.explain")
        blocks.append(Table(title, explain, "", sources, columns, tuple(rows), frozenset({3, 5, 6, 7, 8}), folded=True))
    if facts.result is not None:
        columns = (say("training.run.option"), say("training.run.value"))
        options = tuple((key, _short(value)) for key, value in _flat(facts.result.config) if value is not None)
        title, explain = say("training.run.title"), say("training.run.explain")
        sources = (Citation("result.json", "config"),)
        blocks.append(Table(title, explain, "config", sources, columns, options, folded=True))
    return blocks


def _scheduled(schedule: Schedule, steps: int | None, say: Texts) -> tuple[str | None, ...]:
    counts = (schedule.epochs, schedule.batch_size, schedule.examples, steps)
    begin, end = schedule.prune_from, schedule.prune_until
    falls = None if schedule.cosine is None else say("training.cosine" if schedule.cosine else "training.constant")
    return (
        schedule.optimizer,
        None if schedule.lr is None else f"{schedule.lr:g}",
        falls,
        *(None if count is None else say.number(count) for count in counts),
        None if begin is None or end is None else say("training.between", begin=say.number(begin), end=say.number(end)),
    )


def _flat(options: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Nested options by dotted names."""
    found: list[tuple[str, Any]] = []
    for key, value in options.items():
        found += _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else [(f"{before}{key}", value)]
    return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"
