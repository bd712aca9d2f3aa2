"""Cost: one shared network against one network per task, from measured figures and assumptions to be changed."""

from __future__ import annotations

from typing import Any, Final

from narrows.analysis.assumptions import Assumptions, told_assumptions
from narrows.analysis.cost import CostFigures
from narrows.analysis.plan import GB, plan
from narrows.report.blocks import Block, Calculator, Citation, Notice, Section, Table
from narrows.report.charts import altair, category, spec_of, values
from narrows.report.facts import Facts
from narrows.report.plan_outcome import KINDS, PlanOutcome, outcome, size
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
_SUMMED_UP: Final = ("store_bytes", "base_bytes", "first_task_bytes", "task_bytes", "task_bytes_growth", "task_hours")
"""CostFigures figures that stand in no file as they are: how they come about is said in words."""
_BYTES: Final = ("dense_bytes", "store_bytes", "base_bytes", "first_task_bytes", "task_bytes", "task_bytes_growth")


def cost(facts: Facts, say: Texts) -> Section:
    """The plan with the assumptions' defaults, and the calculator; a notice where there is no task."""
    measured = facts.figures
    blocks: list[Block] = [Notice(say("cost.none"), "warn")]
    if measured is not None:
        blocks = [_calculator(measured, say), _measured(measured, facts, say)]
        if measured.switch_seconds is not None:
            blocks.append(Notice(say("cost.switch", seconds=say.seconds(measured.switch_seconds))))
    return Section("cost", say("cost.title"), say("cost.lead"), blocks)


def _calculator(measured: CostFigures, say: Texts) -> Calculator:
    assumptions = Assumptions()
    words = words_of(say)
    found = outcome(plan(measured.figures, assumptions), assumptions, words)
    told = told_assumptions()
    fields = tuple(
        (
            one.name,
            say(f"cost.label.{one.name}"),
            say(f"cost.unit.{one.name}"),
            one.default,
            say(f"cost.why.{one.name}"),
        )
        for one in told
    )
    data = {"figures": measured.figures.to_json(), "measured": measured.to_json(), "spec": _spec(say)}
    ways = tuple(say(f"cost.{name}") for name in ("shared", "separate"))
    summary = Table(
        say("cost.summary"),
        "",
        "",
        (),
        (say("cost.figure"), *ways, say("cost.saved")),
        found.summary,
        frozenset((1, 2, 3)),
    )
    return Calculator(
        title=say("cost.calculator.title"),
        explain=say("cost.calculator.explain"),
        term=say("cost.calculator.term"),
        sources=(Citation("narrows plan"),),
        key="plan",
        kind="plan",
        data=data,
        fields=fields,
        words=words,
        table=summary,
        limits={one.name: (one.low, one.high, "1" if one.whole else "any", not one.optional) for one in told},
        sentences=found.sentences,
        details=_months(found, say),
    )


def words_of(say: Texts) -> dict[str, str]:
    """What the script says, values not put in."""
    open_ = {name: f"{{{name}}}" for name in _VALUES}
    found = {f"row_{name}": say(f"cost.row.{name}") for name in _ROWS}
    found |= {f"say_{name}": say(f"cost.say.{name}", **open_) for name in _SENTENCES}
    return found | {name: say(f"cost.{name}", **open_) for name in _OTHERS}


def _months(found: PlanOutcome, say: Texts) -> Table:
    names = ("month", "tasks", "disk_shared", "disk_separate", "memory_shared", "memory_separate")
    columns = tuple(say(f"cost.column.{name}") for name in (*names, "cost_shared", "cost_separate"))
    return Table(say("cost.months"), "", "", (), columns, found.months, frozenset(range(len(columns))))


def _spec(say: Texts) -> dict[str, Any]:
    """The chart without its points, which the script puts in."""
    alt = altair()
    ways = [say("cost.shared"), say("cost.separate")]
    chart = (
        alt.Chart(values([]))
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X(
                "month:Q",
                title=say("cost.column.month"),
                scale=alt.Scale(zero=False, nice=False),
                axis=alt.Axis(format="d", tickMinStep=1),
            ),
            y=alt.Y("cost:Q", title=say("cost.axis"), axis=alt.Axis(format=",.2~f", tickCount=6)),
            color=alt.Color("way:N", title=None, scale=alt.Scale(domain=ways, range=[category(0), category(1)])),
            strokeDash=alt.StrokeDash("way:N", title=None, scale=alt.Scale(domain=ways, range=[[1, 0], [6, 4]])),
            tooltip=[
                alt.Tooltip("month:Q", title=say("cost.column.month")),
                alt.Tooltip("way:N", title=say("cost.figure")),
                alt.Tooltip("shown:N", title=say("cost.axis")),
            ],
        )
        .properties(description=say("cost.chart"))
    )
    return spec_of(chart, height=260)


def _measured(measured: CostFigures, facts: Facts, say: Texts) -> Table:
    rows = []
    for name, value in measured.figures.to_json().items():
        shown = size(value / GB) if name in _BYTES else say.number(value)
        if value is None:
            shown = say("cost.no_limit")
        rows.append((say(f"cost.measured.{name}"), shown, _source(name, measured, facts, say)))
    columns = (say("cost.figure"), say("cost.value"), say("cost.source"))
    title, explain = say("cost.figures.title"), say("cost.figures.explain")
    return Table(title, explain, "", (), columns, tuple(rows), frozenset((1,)))


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
