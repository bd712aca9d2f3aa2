"""Of a comparison: the accuracy of each task after the last, and of each run the matrix R."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from narrows.benchmarks.compare.summary import Row
from narrows.report.blocks import Block, Chart, Citation, Notice, Pictures, Section, Selector, Table
from narrows.report.charts import MOST_NAMES, altair, short_names
from narrows.report.facts import Facts
from narrows.report.heat import heat_map
from narrows.report.sections.comparing.lines import LinePoint, lines
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
        blocks.append(Notice(say("by_task.none"), "warn"))
    blocks += _matrices(found, say)
    return Section("by_task", say("by_task.title"), say("by_task.lead"), blocks)


def _names(rows: Sequence[Row]) -> list[str]:
    return max((list(row.tasks) for row in rows), key=len)


def _explain(found: Variants, say: Texts) -> str:
    return say.sentences(say("by_task.chart.explain"), *found.only_longest(say))


def _lines(rows: Sequence[Row], found: Variants, say: Texts) -> Chart:
    alt = altair()
    names = _names(rows)
    series = []
    for at, row in enumerate(rows):
        aside = _ASIDE * ((at + 0.5) / len(rows) - 0.5)  # so that error bars do not lie on one another
        points = [
            LinePoint(place + aside, figure, {"shown": with_error(figure, 2) or "", "task": name})
            for place, (name, figure) in enumerate(zip(row.tasks, row.accuracy, strict=False), 1)
            if figure.mean is not None
        ]
        series.append((row, points))
    axis: dict[str, Any] = {"values": list(range(1, len(names) + 1)), "format": "d", "labelOverlap": "greedy"}
    if len(names) <= MOST_NAMES:
        quoted = ", ".join(f"'{_in_quotes(name)}'" for name in short_names(names, 16))
        axis |= {"labelExpr": f"[{quoted}][datum.value - 1]", "labelAngle": -45}
    x = alt.X(
        "x:Q",
        title=say("by_task.task"),
        axis=alt.Axis(**axis),
        scale=alt.Scale(domain=[0.6, len(names) + 0.4], nice=False),
    )
    tips = [("name", say("front.method")), ("task", say("by_task.task")), ("shown", say("by_task.accuracy"))]
    explain = _explain(found, say)
    spec = lines(series, found, x=x, y_title=say("by_task.accuracy"), tips=tips, explain=explain, height=300)
    return _as_chart(spec, rows, names, found, say)


def _in_quotes(name: str) -> str:
    """A name within a text of Vega's expressions."""
    return "".join(f"\\u{ord(letter):04x}" if letter in "'\\\n\r\u2028\u2029" else letter for letter in name)


def _as_chart(spec: Mapping[str, Any], rows: Sequence[Row], names: Sequence[str], found: Variants, say: Texts) -> Chart:
    title, explain = say("by_task.chart.title"), _explain(found, say)
    columns = (say("by_task.task"), *(found.looks[row.label].name for row in rows))
    body = tuple(
        (
            name,
            *(with_error(row.accuracy[place], 2) if place < len(row.accuracy) else None for row in rows),
        )
        for place, name in enumerate(names)
    )
    table = Table(title, "", "", (), columns, body, frozenset(range(1, len(columns))))
    return Chart(title, explain, "R[T,i]", found.source("accuracy"), "by-task", spec, table)


def _heat(rows: Sequence[Row], found: Variants, say: Texts) -> Chart | Pictures:
    names = _names(rows)
    matrix = [
        [row.accuracy[place].mean if place < len(row.accuracy) else None for place in range(len(names))] for row in rows
    ]
    chart = heat_map(
        "by-task",
        say("by_task.chart.title"),
        _explain(found, say),
        matrix,
        rows=(say("front.method"), [found.looks[row.label].name for row in rows]),
        columns=(say("by_task.task"), short_names(names, 16)),
        value=say("by_task.accuracy"),
        show=say.percent,
        term="R[T,i]",
        sources=found.source("accuracy"),
    )
    return _as_chart(chart.spec, rows, names, found, say) if isinstance(chart, Chart) else chart


def _matrices(found: Variants, say: Texts) -> list[Block]:
    """R of each run, of which the reader picks one."""
    known = [(place, run) for place, run in enumerate(found.comparison.runs) if _has_two(run["R"])]
    shown = known
    if _cells(known) > _MOST_CELLS:
        first: dict[tuple[str, int], tuple[int, Mapping[str, Any]]] = {}
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


def _cells(runs: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
    return sum(len(run["R"]) ** 2 for _, run in runs)


def _has_two(matrix: Sequence[Sequence[float | None]]) -> bool:
    return sum(cell is not None for i, row in enumerate(matrix) for cell in row[: i + 1]) > 1


def _title(run: Mapping[str, Any], found: Variants, say: Texts) -> str:
    name = found.looks[run["label"]].name if run["label"] in found.looks else run["label"]
    return say("by_task.run", method=name, epochs=run["epochs"], seed=run["seed"])


def _matrix(place: int, run: Mapping[str, Any], found: Variants, say: Texts) -> Chart | Pictures:
    row = next((row for row in found.comparison.rows if (row.label, row.epochs) == (run["label"], run["epochs"])), None)
    count = len(run["R"])
    names = list(row.tasks) if row is not None and len(row.tasks) == count else [str(i + 1) for i in range(count)]
    names = short_names(names, 16)
    learned = [[cell if j <= i else None for j, cell in enumerate(cells)] for i, cells in enumerate(run["R"])]
    return heat_map(
        f"by-task-{place}",
        say("by_task.matrix.title"),
        say("by_task.matrix.explain"),
        learned,
        rows=(say("by_task.after"), names),
        columns=(say("by_task.on"), names),
        value=say("by_task.accuracy"),
        show=say.percent,
        term="R",
        sources=(Citation(found.file, f"runs[{place}].R"),),
    )
