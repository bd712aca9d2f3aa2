"""How it was trained: seconds, loss, size of the sub-network, log alpha, learning rate, scores, settings, by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from narrows.report.block_makers import chart, section, stat, table, warning
from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Selector, Stats
from narrows.report.charts import along, altair, colour, tips, values
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
    if not facts.names:
        return section(say, "training", [warning(say, "training.none")])
    return section(say, "training", [*_seconds(facts, say), *_histories(facts, say), *_settings(facts, say)])


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
        return [warning(say, "training.no_seconds")]
    stats = [
        stat(say, "training.total", say.seconds(sum(known)), source),
        stat(say, "training.mean", say.seconds(sum(known) / len(known)), source),
    ]
    ratio = None if facts.metrics is None else facts.metrics["step_ratio"]
    if ratio is not None:
        where = Citation("result.json", "metrics.step_ratio")
        stats.append(stat(say, "training.ratio", f"{say.number(ratio, 3)}\u00d7", where))
    blocks: list[Block] = [Stats(tuple(stats))]
    if ratio is None and facts.result is not None:
        blocks.append(Notice(say("training.no_ratio"), "plain", "narrows run ... --reference"))
    return [*blocks, _per_task(times, say, source)]


def _per_task(times: Sequence[tuple[str, float | None]], say: Texts, source: Citation) -> Chart:
    alt = altair()
    task, axis = say.each("training", "task", "seconds.axis")
    across, rows = along([name for name, _ in times], task)
    cells = [
        row | {"value": seconds, "shown": say.seconds(seconds)}
        for row, (_, seconds) in zip(rows, times, strict=True)
        if seconds is not None
    ]
    drawn = alt.Chart(values(cells)).mark_bar(color=colour("c1"))
    drawn = drawn.encode(x=across, y=alt.Y("value:Q", title=axis), tooltip=tips(task=task, shown=axis))
    body = ((name, None if seconds is None else say.seconds(seconds)) for name, seconds in times)
    return chart(say, "training.seconds", "training-seconds", drawn, 200, (task, axis), body, source)


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
        blocks.append(warning(say, "training.no_store"))
    elif without:
        names = ", ".join(without[:_MOST_NAMES]) + (", ..." if len(without) > _MOST_NAMES else "")
        blocks.append(warning(say, "training.without", count=len(without), names=names))
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
        file = f"{facts.store_folder}tasks/*/task.json"
        sources, columns = (Citation(file, "method"), Citation(file, "history")), say.each("training.settings", *keys)
        blocks.append(table(say, "training.settings", columns, rows, *sources, text=(0, 1, 2, 4, 9), folded=True))
    if facts.result is not None:
        options = ((key, _short(value)) for key, value in _flat(facts.result.config) if value is not None)
        source, columns = Citation("result.json", "config"), say.each("training.run", "option", "value")
        made = table(say, "training.run", columns, options, source, text=(0, 1), folded=True)
        blocks.append(replace(made, term="config"))
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
