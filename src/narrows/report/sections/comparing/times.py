"""Of a comparison: accuracy against seconds of training, a point for each length of training (time to accuracy)."""

from __future__ import annotations

from itertools import groupby

from narrows.benchmarks.compare.summary import Row
from narrows.report.block_makers import chart, section, warning
from narrows.report.blocks import Block, Chart, Notice, Section
from narrows.report.facts import Facts
from narrows.report.sections.comparing.lines import LinePoint, lines, logarithmic
from narrows.report.sections.comparing.variants import Variants, mean_of, times_of, with_error
from narrows.report.texts import Texts


def times(facts: Facts, say: Texts) -> Section | None:
    """Higher and further left is better."""
    found = Variants.of(facts)
    if found is None or not found.done:
        return None
    rows = [row for row in found.done if (mean_of(row, "seconds") or 0.0) > 0 and mean_of(row, "ACC") is not None]
    blocks: list[Block] = [_chart(rows, found, say)] if rows else [warning(say, "times.none")]
    if rows and len(found.lengths) == 1:
        blocks.append(Notice(say("times.one_length"), "plain", "narrows compare ... --epochs 2,10"))
    return section(say, "times", blocks)


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
    x = logarithmic([point.x for _, line in series for point in line], say("times.axis"))
    method, epochs, took = say("front.method"), say("front.epochs"), say("times.axis")
    tips = {"name": method, "epochs": epochs, "took": took, "shown": "ACC"}
    drawn = lines(series, found, x=x, y_title="ACC", tips=tips, height=330)
    body = (
        (
            found.looks[row.label].name,
            say.number(row.epochs),
            say.number(mean_of(row, "seconds"), 3),
            with_error(row.figures["ACC"], 2),
            times_of(mean_of(row, "seconds_ratio"), say),
        )
        for row in rows
    )
    columns = (method, epochs, say("times.seconds"), "ACC", say("times.ratio"))
    sources, term = found.source("figures.seconds", "figures.ACC", "figures.seconds_ratio"), say("times.term")
    return chart(say, "times.chart", "times", drawn, 330, columns, body, *sources, term=term)


def _tips(row: Row, say: Texts) -> dict[str, str]:
    return {
        "epochs": say.number(row.epochs),
        "took": say.seconds(mean_of(row, "seconds")),
        "shown": with_error(row.figures["ACC"], 2) or "",
    }
