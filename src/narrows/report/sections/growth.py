"""Of the section on capacity: what is used in total as tasks came, and the forecast that goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from narrows.analysis.capacity import Capacity
from narrows.analysis.forecast import Interval
from narrows.benchmarks.results import Result
from narrows.report.blocks import Block, Chart, Citation, Table
from narrows.report.charts import altair, colour, mixed, spec_of, values
from narrows.report.facts import Facts
from narrows.report.texts import Texts

_PARTS: Final = ("earlier", "new", "refined", "apart")
"""What a bar is made of, from below."""
_FULL_IN_SIGHT: Final = 0.5
"""From here on the axis goes up to the whole network."""
_LEAST_AHEAD: Final = 5
"""The fan is not longer than what is known, or than this."""


@dataclass(frozen=True)
class Bar:
    """What is used once a task had come, in networks: `used` and the parts it is made of.

    Attributes:
        earlier, new: at weights that tasks before it took, and that it took; fractions.
        refined: values kept at weights that were taken already, of all tasks so far.
        apart: networks that tasks have for themselves.
        reused: weights it takes over as they are.
    """

    task: str
    used: float
    earlier: float
    new: float
    refined: float
    apart: float
    reused: float


def growth(facts: Facts, say: Texts) -> list[Block]:
    """A bar for each task, and a fan for those to come; nothing where there is no task."""
    if facts.capacity is not None:
        bars, source = _of_store(facts.capacity), Citation(f"{facts.store_folder}tasks/*/mask.bin")
    elif facts.result is not None:
        bars, source = _of_result(facts.result), Citation("result.json", "tasks.used, tasks.reused")
    if not facts.names or not bars:
        return []
    ahead = facts.forecast.used[: max(_LEAST_AHEAD, len(bars))] if facts.forecast is not None else ()
    fan = [Interval(*(_above(edge, bars[-1].apart) for edge in (at.low, at.median, at.high))) for at in ahead]
    title = say("capacity.growth.title")
    explains = ["explain", *(["refines"] if bars[-1].refined else []), *(["forecasts"] if fan else [])]
    explain = say.sentences(*(say(f"capacity.growth.{key}") for key in explains))
    spec = _spec(bars, fan, explain, say)
    table = _table(title, bars, fan, say)
    return [Chart(title, explain, say("term.used"), (source,), "capacity-growth", spec, table)]


def _of_store(found: Capacity) -> list[Bar]:
    total = found.total.weights or 1
    bars, taken, kept = [], 0, 0
    for step in found.growth:
        fresh = sum(step.fresh)
        kept += step.claimed if step.isolation == "shared" else 0
        apart = round(step.used - kept / total)
        refined = kept - taken - fresh
        bars.append(
            Bar(step.task, step.used, taken / total, fresh / total, refined / total, float(apart), step.reused / total)
        )
        taken += fresh
    return bars


def _of_result(result: Result) -> list[Bar]:
    """A result tells what was used after each task, and not by whom."""
    before = [0.0, *(task.used for task in result.tasks)]
    return [
        Bar(task.name, task.used, earlier, task.used - earlier, 0.0, 0.0, task.reused)
        for task, earlier in zip(result.tasks, before, strict=False)
    ]


def _above(edge: float | None, apart: float) -> float | None:
    return None if edge is None else edge + apart


def _spec(bars: Sequence[Bar], fan: Sequence[Interval], explain: str, say: Texts) -> dict[str, Any]:
    alt = altair()
    parts = [part for part in _PARTS if any(getattr(bar, part) for bar in bars)] or ["new"]
    words = {part: say(f"capacity.growth.{part}") for part in parts}
    forecast = say("capacity.growth.forecast")
    colours = {
        "earlier": mixed("kept", 0.45),
        "new": colour("kept"),
        "refined": colour("refined"),
        "apart": colour("c7"),
    }
    scale = alt.Scale(domain=list(words.values()), range=[colours[part] for part in parts])
    top = max([bar.used for bar in bars] + [at.high or 0.0 for at in fan])
    full = top > _FULL_IN_SIGHT
    y = alt.Y(
        "value:Q",
        title=say("capacity.used"),
        axis=alt.Axis(format="%" if top > 0.1 else ".1%"),
        scale=alt.Scale(domainMin=0, domainMax=max(top, 1.0) * 1.02, nice=False) if full else alt.Scale(zero=True),
    )
    x = alt.X(
        "place:O",
        title=say("capacity.growth.tasks"),
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6),
    )
    layers = [
        alt.Chart(values(list(_cells(bars, parts, words, say))))
        .mark_bar()
        .encode(
            x=x,
            y=y,
            order=alt.Order("layer:Q"),
            color=alt.Color("part:N", title=None, scale=scale),
            tooltip=[
                alt.Tooltip("task:N", title=say("capacity.task")),
                alt.Tooltip("part:N", title=say("capacity.growth.part")),
                alt.Tooltip("shown:N", title=say("capacity.share")),
                alt.Tooltip("used:N", title=say("capacity.used")),
            ],
        )
    ]
    if fan:
        layers += _fan(len(bars), bars[-1].used, fan, forecast, say)
    if full:
        rule = alt.Chart(values([{"value": 1.0}])).mark_rule(strokeDash=[6, 4], color=colour("bad"), strokeWidth=1.5)
        layers.append(rule.encode(y="value:Q"))
    return spec_of(alt.layer(*layers).properties(description=explain), height=280)


def _cells(bars: Sequence[Bar], parts: Sequence[str], words: dict[str, str], say: Texts) -> Iterator[dict[str, Any]]:
    for place, bar in enumerate(bars, 1):
        for layer, part in enumerate(parts):
            if value := getattr(bar, part):
                yield {
                    "place": place,
                    "task": bar.task,
                    "part": words[part],
                    "layer": layer,
                    "value": value,
                    "shown": say.percent(value, 2),
                    "used": say.percent(bar.used, 2),
                }


def _fan(known: int, used: float, fan: Sequence[Interval], forecast: str, say: Texts) -> list[Any]:
    alt = altair()
    start = {"place": known, "low": used, "median": used, "high": used, "shown": say.percent(used, 2)}
    rows = [
        {"place": known + at, "low": found.low, "median": found.median, "high": found.high, "shown": _range(found, say)}
        for at, found in enumerate(fan, 1)
    ]
    chart = alt.Chart(values([start, *rows])).encode(x="place:O")
    tips = [alt.Tooltip("place:O", title=say("capacity.growth.tasks")), alt.Tooltip("shown:N", title=forecast)]
    name = alt.Chart(values([{**rows[-1], "name": forecast}]))
    return [
        chart.mark_area(opacity=0.3, color=colour("c4")).encode(y="low:Q", y2="high:Q"),
        chart.mark_line(strokeDash=[5, 3], color=colour("c4")).encode(y="median:Q"),
        chart.mark_point(filled=True, size=25, color=colour("c4")).encode(y="median:Q", tooltip=tips),
        name.mark_text(align="right", dy=-12, color=colour("ink")).encode(x="place:O", y="high:Q", text="name:N"),
    ]


def _range(found: Interval, say: Texts) -> str:
    """The median, and what most futures lie within."""
    low, median, high = (say.percent(edge, 2) for edge in (found.low, found.median, found.high))
    return say("capacity.range", median=median, low=low, high=high)


def _table(title: str, bars: Sequence[Bar], fan: Sequence[Interval], say: Texts) -> Table:
    columns = ("growth.tasks", "task", "used", "growth.new", "growth.refined", "growth.apart", "growth.reused")
    rows: list[tuple[str | None, ...]] = [
        (
            str(place),
            bar.task,
            say.percent(bar.used, 2),
            say.percent(bar.new, 2),
            say.percent(bar.refined, 2),
            say.number(bar.apart),
            say.percent(bar.reused, 2),
        )
        for place, bar in enumerate(bars, 1)
    ]
    coming = say("capacity.growth.forecast")
    for at, found in enumerate(fan, 1):
        rows.append((str(len(bars) + at), coming, _range(found, say), None, None, None, None))
    numeric = frozenset(range(len(columns))) - {1}
    return Table(title, "", "", (), tuple(say(f"capacity.{column}") for column in columns), tuple(rows), numeric)
