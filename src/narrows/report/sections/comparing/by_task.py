"""Of a comparison: the accuracy of each task after the last, and of each run the matrix R."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.benchmarks.compare.summary import Row, RunAccount
from narrows.report.block_makers import chart, section, warning
from narrows.report.blocks import Block, Chart, Citation, Notice, Pictures, Section, Selector
from narrows.report.charts import MOST_NAMES, altair, short_names
from narrows.report.facts import Facts
from narrows.report.heat import heat_map
from narrows.report.sections.accuracy import matrix
from narrows.report.sections.comparing.lines import lines, task_points
from narrows.report.sections.comparing.variants import Variants, with_error
from narrows.report.texts import Texts

_MOST_LINES = 8
"""More variants are shown as colours and not as lines."""
_MOST_CELLS = 9000
"""Of all matrices together; beyond it only one run of each row is shown, and beyond that the first ones."""
_ASIDE = 0.5
"""How far apart the first and the last variant of a task are drawn, in tasks."""


def by_task(facts: Facts, say: Texts) -> Section | None:
    """Where late tasks fall off, and where early ones do."""
    found = Variants.of(facts)
    if found is None or not found.done:
        return None
    rows = [row for row in found.longest if any(figure.mean is not None for figure in row.accuracy)]
    blocks: list[Block] = (
        [_heat(rows, found, say) if len(rows) > _MOST_LINES else _lines(rows, found, say)] if rows else []
    )
    if not rows:
        blocks.append(warning(say, "by_task.none"))
    return section(say, "by_task", [*blocks, *_matrices(found, say)])


def _names(rows: Sequence[Row]) -> list[str]:
    return max((list(row.tasks) for row in rows), key=len)


def _lines(rows: Sequence[Row], found: Variants, say: Texts) -> Chart:
    names = _names(rows)
    series = []
    for at, row in enumerate(rows):
        aside = _ASIDE * ((at + 0.5) / len(rows) - 0.5)  # so that error bars do not lie on one another
        series.append((row, task_points(row, row.accuracy, aside)))
    axis: dict[str, Any] = {"values": list(range(1, len(names) + 1)), "format": "d", "labelOverlap": "greedy"}
    if len(names) <= MOST_NAMES:
        quoted = ", ".join(f"'{_in_quotes(name)}'" for name in short_names(names, 16))
        axis |= {"labelExpr": f"[{quoted}][datum.value - 1]", "labelAngle": -45}
    task, accuracy = say.each("by_task", "task", "accuracy")
    x = altair().X("x:Q", title=task, axis=axis, scale={"domain": [0.6, len(names) + 0.4], "nice": False})
    tips = {"name": say("front.method"), "task": task, "shown": accuracy}
    drawn = lines(series, found, x=x, y_title=accuracy, tips=tips, height=300)
    return _as_chart(drawn, rows, names, found, say)


def _in_quotes(name: str) -> str:
    """A name within a text of Vega's expressions."""
    return "".join(f"\\u{ord(letter):04x}" if letter in "'\\\n\r\u2028\u2029" else letter for letter in name)


def _as_chart(drawn: Any, rows: Sequence[Row], names: Sequence[str], found: Variants, say: Texts) -> Chart:
    columns = (say("by_task.task"), *(found.looks[row.label].name for row in rows))
    body = (
        (name, *(with_error(row.accuracy[place], 2) if place < len(row.accuracy) else None for row in rows))
        for place, name in enumerate(names)
    )
    explain = say.sentences(say("by_task.chart.explain"), *found.only_longest(say))
    sources = found.source("accuracy")
    return chart(say, "by_task.chart", "by-task", drawn, 300, columns, body, *sources, explain=explain, term="R[T,i]")


def _heat(rows: Sequence[Row], found: Variants, say: Texts) -> Chart | Pictures:
    names = _names(rows)
    heat = heat_map(
        "by-task",
        say("by_task.chart.title"),
        say.sentences(say("by_task.chart.explain"), *found.only_longest(say)),
        [[row.accuracy[at].mean if at < len(row.accuracy) else None for at in range(len(names))] for row in rows],
        rows=(say("front.method"), [found.looks[row.label].name for row in rows]),
        columns=(say("by_task.task"), short_names(names, 16)),
        value=say("by_task.accuracy"),
        show=say.percent,
        term="R[T,i]",
        sources=found.source("accuracy"),
    )
    return _as_chart(dict(heat.spec), rows, names, found, say) if isinstance(heat, Chart) else heat


def _matrices(found: Variants, say: Texts) -> list[Block]:
    """R of each run, of which the reader picks one."""
    known = [(place, run) for place, run in enumerate(found.comparison.runs) if _has_two(run["R"])]
    shown = known
    if _cells(known) > _MOST_CELLS:
        first: dict[tuple[str, int], tuple[int, RunAccount]] = {}
        for place, run in sorted(known, key=lambda pair: pair[1]["seed"]):
            first.setdefault((run["label"], run["epochs"]), (place, run))
        shown = sorted(first.values(), key=lambda pair: pair[0])
        while len(shown) > 1 and _cells(shown) > _MOST_CELLS:
            shown.pop()
    options = tuple((_title(run, found, say), (_matrix(place, run, found, say),)) for place, run in shown)
    if not options:
        return []
    blocks: list[Block] = [Selector("by-task-run", say("by_task.pick"), options)]
    if len(shown) < len(known):
        blocks.insert(0, Notice(say("by_task.cut", shown=len(shown), runs=len(known))))
    return blocks


def _cells(runs: Sequence[tuple[int, RunAccount]]) -> int:
    return sum(len(run["R"]) ** 2 for _, run in runs)


def _has_two(matrix: Sequence[Sequence[float | None]]) -> bool:
    return sum(cell is not None for i, row in enumerate(matrix) for cell in row[: i + 1]) > 1


def _title(run: RunAccount, found: Variants, say: Texts) -> str:
    name = found.looks[run["label"]].name if run["label"] in found.looks else run["label"]
    return say("by_task.run", method=name, epochs=run["epochs"], seed=run["seed"])


def _matrix(place: int, run: RunAccount, found: Variants, say: Texts) -> Chart | Pictures:
    row = next((row for row in found.comparison.rows if (row.label, row.epochs) == (run["label"], run["epochs"])), None)
    count = len(run["R"])
    names = list(row.tasks) if row is not None and len(row.tasks) == count else [str(i + 1) for i in range(count)]
    source = Citation(found.file, f"runs[{place}].R")
    return matrix("by_task", f"by-task-{place}", run["R"], short_names(names, 16), source, say)
