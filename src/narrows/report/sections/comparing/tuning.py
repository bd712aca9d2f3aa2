"""Of a comparison: what was tried in tuning on held-out data, and what was picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from narrows.benchmarks.compare.summary import Figure, Row
from narrows.report.blocks import Block, Chart, Notice, Section, Table
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
    x = logarithmic(rates, say("tuning.rate"))
    title, explain = say("tuning.chart.title"), say("tuning.chart.explain")
    tips = [
        ("name", say("front.method")), ("values", say("tuning.values")),
        ("shown", say("tuning.accuracy")), ("picked", say("tuning.picked")),
    ]  # fmt: skip
    spec = lines(series, found, x=x, y_title=say("tuning.accuracy"), tips=tips, explain=explain, height=260)
    table = _table(shown, title, found, say)
    return [Chart(title, explain, "lr", found.source("tried", "values"), "tuning-rates", spec, table)]


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
    table = _table(rows, say("tuning.table.title"), found, say)
    return Table(
        table.title, say("tuning.table.explain"), say("tuning.term"), found.source("tried", "values"),
        table.columns, table.rows, table.numeric, folded=True,
    )  # fmt: skip


def _table(rows: Sequence[Row], title: str, found: Variants, say: Texts) -> Table:
    columns = tuple(
        say(key)
        for key in ("front.method", "front.epochs", "tuning.trial", "tuning.values", "tuning.accuracy", "tuning.picked")
    )
    body = tuple(
        (
            found.looks[row.label].name,
            say.number(row.epochs),
            str(at),
            values_of(trial, say),
            say("tuning.failed", reason=_short(trial["reason"]))
            if trial["reason"]
            else say.percent(trial["accuracy"], 2),
            say("front.yes") if at == picked_of(row) else "",
        )
        for row in rows
        for at, trial in enumerate(row.tried)
    )
    return Table(title, "", "", (), columns, body, frozenset({1, 2}))


def picked_of(row: Row) -> int | None:
    """Which trial's values the runs have: the first of these; None before that is settled."""
    return next((at for at, trial in enumerate(row.tried) if row.values and trial["values"] == row.values), None)


def values_of(trial: Mapping[str, Any], say: Texts) -> str:
    """As lr=0.001 strength=100."""
    return " ".join(f"{name}={say.number(value, 3)}" for name, value in trial["values"].items())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"
