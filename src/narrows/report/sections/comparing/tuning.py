"""Of a comparison: what was tried in tuning on held-out data, and what was picked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from narrows.benchmarks.compare.summary import Figure, Row
from narrows.report.block_makers import chart, table
from narrows.report.blocks import Block, Notice, Section, Table
from narrows.report.facts import Facts
from narrows.report.sections.comparing.lines import LinePoint, lines, logarithmic
from narrows.report.sections.comparing.variants import Variants
from narrows.report.texts import Texts

_LETTERS = 300  # of a reason


def tuning(facts: Facts, say: Texts) -> Section | None:
    """A chart of the learning rates of the longest training, and every trial in a table."""
    found = Variants.of(facts)
    if found is None:
        return None
    rows = [row for row in found.comparison.rows if row.tried]
    if rows:
        blocks: list[Block] = [*_rates(rows, found, say), _trials(rows, found, say)]
        lead = say("tuning.lead", **_protocol(found.comparison.grid, say))
    else:
        waits = bool(found.comparison.grid.get("tune"))
        blocks = [Notice(say("tuning.waits" if waits else "tuning.none"), "warn" if waits else "plain")]
        lead = say("tuning.short")
    return Section("tuning", say("tuning.title"), lead, blocks)


def _protocol(grid: Mapping[str, Any], say: Texts) -> dict[str, str]:
    holdout = grid.get("holdout")
    return {
        "trials": str(grid.get("tune", "?")),
        "tasks": str(grid.get("tune_tasks", "?")),
        "holdout": say.percent(holdout, 0) if isinstance(holdout, float) else "?",
    }


def _rates(rows: Sequence[Row], found: Variants, say: Texts) -> list[Block]:
    """Accuracy on held-out data against the learning rate; a line for each variant, trained longest."""
    longest = {label: max(row.epochs for row in rows if row.label == label) for label in (row.label for row in rows)}
    shown = [row for row in rows if row.epochs == longest[row.label]]
    series = [(row, _points(row, say)) for row in shown]
    rates = [point.x for _, line in series for point in line]
    if len(set(rates)) < 2:
        return []
    tried, accuracy, picked = say.each("tuning", "values", "accuracy", "picked")
    tips = {"name": say("front.method"), "values": tried, "shown": accuracy, "picked": picked}
    drawn = lines(series, found, x=logarithmic(rates, say("tuning.rate")), y_title=accuracy, tips=tips, height=260)
    sources = found.source("tried", "values")
    return [
        chart(
            say, "tuning.chart", "tuning-rates", drawn, 260, _columns(say), _rows(shown, found, say), *sources,
            text=(0, 3, 4, 5), term="lr",
        )
    ]  # fmt: skip


def _points(row: Row, say: Texts) -> list[LinePoint]:
    picked = picked_of(row)
    known = [
        (rate, at, trial)
        for at, trial in enumerate(row.tried)
        if (rate := trial["values"].get("lr")) and rate > 0 and trial["accuracy"] is not None
    ]
    return [
        LinePoint(
            rate,
            Figure(trial["accuracy"], None, ()),
            {
                "values": values_of(trial, say),
                "shown": say.percent(trial["accuracy"], 2),
                "picked": say("front.yes" if at == picked else "front.no"),
            },
            ringed=at == picked,
        )
        for rate, at, trial in sorted(known, key=lambda one: one[0])
    ]


def _trials(rows: Sequence[Row], found: Variants, say: Texts) -> Table:
    body, sources = _rows(rows, found, say), found.source("tried", "values")
    made = table(say, "tuning.table", _columns(say), body, *sources, text=(0, 3, 4, 5), folded=True)
    return replace(made, term=say("tuning.term"))


def _columns(say: Texts) -> tuple[str, ...]:
    return say.each("front", "method", "epochs") + say.each("tuning", "trial", "values", "accuracy", "picked")


def _rows(rows: Sequence[Row], found: Variants, say: Texts) -> Iterator[tuple[str | None, ...]]:
    for row in rows:
        for at, trial in enumerate(row.tried):
            gave = say.percent(trial["accuracy"], 2)
            if trial["reason"]:
                gave = say("tuning.failed", reason=_short(trial["reason"]))
            picked = say("front.yes") if at == picked_of(row) else ""
            name = found.looks[row.label].name
            yield name, say.number(row.epochs), str(at), values_of(trial, say), gave, picked


def picked_of(row: Row) -> int | None:
    """Which trial's values the runs have: the first of these; None before that is settled."""
    return next((at for at, trial in enumerate(row.tried) if row.values and trial["values"] == row.values), None)


def values_of(trial: Mapping[str, Any], say: Texts) -> str:
    """As lr=0.001 strength=100."""
    return " ".join(f"{name}={say.number(value, 3)}" for name, value in trial["values"].items())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"
