"""Of a comparison: how much of the network is used as tasks come."""

from __future__ import annotations

from narrows.benchmarks.compare.summary import Row
from narrows.report.blocks import Block, Chart, Notice, Section, Table
from narrows.report.charts import altair
from narrows.report.facts import Facts
from narrows.report.sections.comparing.lines import LinePoint, lines
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
    if not known:
        blocks.append(Notice(say("grown.none"), "warn"))
    return Section("grown", say("grown.title"), say("grown.lead"), blocks)


def _chart(rows: list[Row], found: Variants, say: Texts) -> Chart:
    alt = altair()
    title = say("grown.used.title")
    explain = say.sentences(say("grown.used.explain"), *found.only_longest(say))
    series = [
        (
            row,
            [
                LinePoint(place, figure, {"shown": with_error(figure, 2) or "", "task": name})
                for place, (name, figure) in enumerate(zip(row.tasks, row.used, strict=True), 1)
                if figure.mean is not None
            ],
        )
        for row in rows
    ]
    most = max(len(row.tasks) for row in rows)
    x = alt.X(
        "x:Q",
        title=say("grown.tasks"),
        axis=alt.Axis(format="d", values=list(range(1, most + 1)), labelOverlap="greedy"),
        scale=alt.Scale(domain=[1, max(most, 2)], nice=False),
    )
    tips = [("name", say("front.method")), ("task", say("grown.task")), ("shown", say("grown.used.axis"))]
    spec = lines(series, found, x=x, y_title=say("grown.used.axis"), tips=tips, explain=explain, height=280, zero=True)
    columns = (say("grown.tasks"), *(found.looks[row.label].name for row in rows))
    body = tuple(
        (str(place + 1), *(with_error(row.used[place], 2) if place < len(row.used) else None for row in rows))
        for place in range(most)
    )
    table = Table(title, "", "", (), columns, body, frozenset(range(len(columns))))
    return Chart(title, explain, say("term.used"), found.source("used"), "grown-used", spec, table)
