"""Of a comparison: accuracy against seconds of training, a point for each length of training (time to accuracy)."""

from __future__ import annotations

from itertools import groupby

from narrows.benchmarks.compare.summary import Row
from narrows.report.blocks import Block, Chart, Notice, Section, Table
from narrows.report.facts import Facts
from narrows.report.sections.comparing.lines import LinePoint, lines, logarithmic
from narrows.report.sections.comparing.variants import Variants, mean_of, with_error
from narrows.report.texts import Texts


def times(facts: Facts, say: Texts) -> Section | None:
    """Higher and further left is better."""
    found = Variants.of(facts)
    if found is None or not found.done:
        return None
    rows = [row for row in found.done if (mean_of(row, "seconds") or 0.0) > 0 and mean_of(row, "ACC") is not None]
    blocks: list[Block] = [_chart(rows, found, say)] if rows else [Notice(say("times.none"), "warn")]
    if rows and len(found.lengths) == 1:
        blocks.append(Notice(say("times.one_length"), "plain", "narrows compare ... --epochs 2,10"))
    return Section("times", say("times.title"), say("times.lead"), blocks)


def _chart(rows: list[Row], found: Variants, say: Texts) -> Chart:
    order = list(found.looks)
    rows = sorted(rows, key=lambda row: (order.index(row.label), row.epochs))
    series = []
    for _, group in groupby(rows, key=lambda row: row.label):
        line = list(group)
        points = [
            LinePoint(mean_of(row, "seconds") or 0.0, row.figures["ACC"], _tips(row, say), str(row.epochs))
            for row in line
        ]
        series.append((line[0], points))
    seconds = [point.x for _, line in series for point in line]
    x = logarithmic(seconds, say("times.axis"))
    title, explain = say("times.chart.title"), say("times.chart.explain")
    tips = [
        ("name", say("front.method")),
        ("epochs", say("front.epochs")),
        ("took", say("times.axis")),
        ("shown", "ACC"),
    ]
    spec = lines(series, found, x=x, y_title="ACC", tips=tips, explain=explain, height=330)
    columns = (say("front.method"), say("front.epochs"), say("times.seconds"), "ACC", say("times.ratio"))
    body = tuple(
        (
            found.looks[row.label].name,
            say.number(row.epochs),
            say.number(mean_of(row, "seconds"), 3),
            with_error(row.figures["ACC"], 2),
            None if mean_of(row, "seconds_ratio") is None else f"{say.number(mean_of(row, 'seconds_ratio'), 3)}\u00d7",
        )
        for row in rows
    )
    table = Table(title, "", "", (), columns, body, frozenset({1, 2, 3, 4}))
    sources = found.source("figures.seconds", "figures.ACC", "figures.seconds_ratio")
    return Chart(title, explain, say("times.term"), sources, "times", spec, table)


def _tips(row: Row, say: Texts) -> dict[str, str]:
    return {
        "epochs": say.number(row.epochs),
        "took": say.seconds(mean_of(row, "seconds")),
        "shown": with_error(row.figures["ACC"], 2) or "",
    }
