"""Cost: one shared network against one network per task, from measured figures and assumptions to be changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from narrows.analysis.assumptions import Assumptions, told_assumptions
from narrows.analysis.cost import CostFigures
from narrows.analysis.plan import GB, plan
from narrows.report.block_makers import Rows, section, table, warning
from narrows.report.blocks import Block, Calculator, Citation, Notice, Section, Table
from narrows.report.charts import altair, category, kinds, spec_of, tips, values
from narrows.report.facts import Facts
from narrows.report.plan_outcome import KINDS, outcome, size
from narrows.report.texts import Texts

_ROWS: Final = ("networks", "storage_gb", "memory_gb", "training_hours", *KINDS, "setup", "total")
_SENTENCES: Final = (
    "less", "more", "same", "payback", "later", "far", "never", "saves", "costs", "disk", "packed", "whole", "second",
)  # fmt: skip
_OTHERS: Final = ("shared", "separate", "item", "comma", "invalid")
_VALUES: Final = (
    "months", "month", "shared", "separate", "difference", "gain", "list", "tasks", "packed", "all", "what", "money",
    "name", "low", "high",
)  # fmt: skip
_MONTHS: Final = (
    "month", "tasks", "disk_shared", "disk_separate", "memory_shared", "memory_separate", "cost_shared",
    "cost_separate",
)  # fmt: skip
_SUMMED_UP: Final = ("store_bytes", "base_bytes", "first_task_bytes", "task_bytes", "task_bytes_growth", "task_hours")
"""Measured figures that stand in no file as they are: how they come about is said in words."""
_BYTES: Final = ("dense_bytes", "store_bytes", "base_bytes", "first_task_bytes", "task_bytes", "task_bytes_growth")


def cost(facts: Facts, say: Texts) -> Section:
    """The plan with the assumptions' defaults, and the calculator; a notice where there is no task."""
    measured = facts.figures
    if measured is None:
        return section(say, "cost", [warning(say, "cost.none")])
    blocks: list[Block] = [_calculator(measured, say), _measured(measured, facts, say)]
    if measured.switch_seconds is not None:
        blocks.append(Notice(say("cost.switch", seconds=say.seconds(measured.switch_seconds))))
    return section(say, "cost", blocks)


def _calculator(measured: CostFigures, say: Texts) -> Calculator:
    assumptions = Assumptions()
    words = words_of(say)
    found = outcome(plan(measured.figures, assumptions), assumptions, words)
    told = told_assumptions()
    fields = tuple(
        (name, say(f"cost.label.{name}"), say(f"cost.unit.{name}"), one.default, say(f"cost.why.{name}"))
        for one in told
        for name in [one.name]
    )
    columns = say.each("cost", "figure", "shared", "separate", "saved")
    return Calculator(
        *say.told("cost.calculator"),
        sources=(Citation("narrows plan"),),
        key="plan",
        data={"figures": asdict(measured.figures), "measured": asdict(measured), "spec": _spec(say)},
        fields=fields,
        words=words,
        table=_numbers(say("cost.summary"), columns, found.summary, 1),
        limits={one.name: (one.low, one.high, "1" if one.whole else "any", not one.optional) for one in told},
        sentences=found.sentences,
        details=_numbers(say("cost.months"), say.each("cost.column", *_MONTHS), found.months, 0),
    )


def _numbers(title: str, columns: tuple[str, ...], rows: Rows, first: int) -> Table:
    """A table without a sentence; from its `first` column on all are numbers."""
    return Table(title, "", "", (), columns, tuple(rows), frozenset(range(first, len(columns))))


def words_of(say: Texts) -> dict[str, str]:
    """What the script says, values not put in."""
    open_ = {name: f"{{{name}}}" for name in _VALUES}
    found = {f"row_{name}": say(f"cost.row.{name}") for name in _ROWS}
    found |= {f"say_{name}": say(f"cost.say.{name}", **open_) for name in _SENTENCES}
    return found | {name: say(f"cost.{name}", **open_) for name in _OTHERS}


def _spec(say: Texts) -> dict[str, Any]:
    """The chart without its points, which the script puts in."""
    alt = altair()
    ways, axis, month = say.each("cost", "shared", "separate"), say("cost.axis"), say("cost.column.month")
    told = [alt.Tooltip("month:Q", title=month), *tips(way=say("cost.figure"), shown=axis)]
    across = {"title": month, "scale": {"zero": False, "nice": False}, "axis": {"format": "d", "tickMinStep": 1}}
    drawn = (
        alt.Chart(values([]))
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X("month:Q", **across),
            y=alt.Y("cost:Q", title=axis, axis={"format": ",.2~f", "tickCount": 6}),
            color=kinds("way", ways, [category(0), category(1)]),
            strokeDash=alt.StrokeDash("way:N", title=None, scale={"domain": ways, "range": [[1, 0], [6, 4]]}),
            tooltip=told,
        )
    )
    return spec_of(drawn.properties(description=say("cost.chart")), height=260)


def _measured(measured: CostFigures, facts: Facts, say: Texts) -> Table:
    rows = []
    for name, value in asdict(measured.figures).items():
        shown = size(value / GB) if name in _BYTES and value is not None else say.number(value)
        shown = say("cost.no_limit") if value is None else shown
        rows.append((say(f"cost.measured.{name}"), shown, _source(name, measured, facts, say)))
    return table(say, "cost.figures", say.each("cost", "figure", "value", "source"), rows, text=(0, 2))


def _source(name: str, measured: CostFigures, facts: Facts, say: Texts) -> str:
    if name in measured.assumed:
        return say(f"cost.assumed.{name}")
    if name == "tasks_per_network" and facts.forecast is not None:  # not assumed: it could be made
        fits = facts.forecast.fits
        if fits.median is None:
            return say("cost.forecast_open", horizon=facts.forecast.horizon)
        return say("cost.forecast", fits=say.number(fits.median), low=say.number(fits.low), high=say.number(fits.high))
    if name not in _SUMMED_UP:
        return measured.sources[name]
    if facts.reader is not None:
        return say(f"cost.from.{name}")
    return say(f"cost.from_result.{name}")
