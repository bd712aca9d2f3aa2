"""Of a comparison: how much of the network is used as tasks come."""

from __future__ import annotations

from narrows.benchmarks.compare.summary import Row
from narrows.report.block_makers import chart, section, warning
from narrows.report.blocks import Block, Chart, Notice, Section
from narrows.report.charts import altair
from narrows.report.facts import Facts
from narrows.report.sections.comparing.lines import lines, task_points
from narrows.report.sections.comparing.variants import Variants, with_error
from narrows.report.texts import Texts


def grown(facts: Facts, say: Texts) -> Section | None:
    """A line for each variant; those that use all from the first task are only named, beside others."""
    found = Variants.of(facts)
    if found is None or not found.done:
        return None
    known = [row for row in found.longest if any(figure.mean is not None for figure in row.used)]
    whole = [row for row in known if min(figure.mean for figure in row.used if figure.mean is not None) >= 1]
    narrow = [row for row in known if row not in whole]  # which the others would squeeze
    blocks: list[Block] = []
    if known:
        blocks.append(_chart(narrow or whole, found, say))
    if narrow and whole:
        blocks.append(Notice(say("grown.whole", names=", ".join(row.label for row in whole))))
    return section(say, "grown", blocks or [warning(say, "grown.none")])


def _chart(rows: list[Row], found: Variants, say: Texts) -> Chart:
    tasks, task, used, method = (*say.each("grown", "tasks", "task", "used.axis"), say("front.method"))
    series = [(row, task_points(row, row.used)) for row in rows]
    most = max(len(row.tasks) for row in rows)
    axis = {"format": "d", "values": list(range(1, most + 1)), "labelOverlap": "greedy"}
    x = altair().X("x:Q", title=tasks, axis=axis, scale={"domain": [1, max(most, 2)], "nice": False})
    tips = {"name": method, "task": task, "shown": used}
    drawn = lines(series, found, x=x, y_title=used, tips=tips, height=280, zero=True)
    columns = (tasks, *(found.looks[row.label].name for row in rows))
    body = (
        (str(place + 1), *(with_error(row.used[place], 2) if place < len(row.used) else None for row in rows))
        for place in range(most)
    )
    explain = say.sentences(say("grown.used.explain"), *found.only_longest(say))
    return chart(
        say, "grown.used", "grown-used", drawn, 280, columns, body, *found.source("used"),
        text=(), explain=explain, term=say("term.used"),
    )  # fmt: skip
