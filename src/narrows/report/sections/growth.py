"""Of the section on capacity: what is used in total as tasks came, and the forecast that goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from narrows.analysis.capacity import Capacity
from narrows.analysis.forecast import Interval
from narrows.benchmarks.results import Result
from narrows.report.block_makers import chart
from narrows.report.blocks import Block, Citation
from narrows.report.charts import altair, colour, counted, kinds, mixed, tips, values
from narrows.report.facts import Facts
from narrows.report.sections.outlook import interval_shown
from narrows.report.texts import Texts

_PARTS: Final = {
    "earlier": mixed("kept", 0.45),
    "claimed": colour("kept"),
    "again": colour("again"),
    "apart": colour("c7"),
}
"""What a bar is made of, from below, and its colour."""
_FULL_IN_SIGHT: Final = 0.5
"""From here on the axis goes up to the whole network."""
_LEAST_AHEAD: Final = 5
"""The fan is not longer than what is known, or than this."""


@dataclass(frozen=True)
class Bar:
    """What is used once a task had come, in networks: `used` and the parts it is made of.

    Attributes:
        earlier, claimed: at weights that tasks before it took, and that it took; fractions.
        again: claimed at weights that were taken already, of all tasks so far.
        apart: networks that tasks have for themselves.
        reused: weights it takes over as they are.
    """

    task: str
    used: float
    earlier: float
    claimed: float
    again: float
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
    explains = ["explain", *(["says_again"] if bars[-1].again else []), *(["forecasts"] if fan else [])]
    explain = say.sentences(*say.each("capacity.growth", *explains))
    columns = say.each(
        "capacity",
        "growth.tasks",
        "task",
        "used",
        *(f"growth.{key}" for key in ("claimed", "again", "apart", "reused")),
    )
    drawn, key = _drawn(bars, fan, say), "capacity.growth"
    rows = [*_bar_rows(bars, say), *_fan_rows(fan, len(bars), say)]
    return [
        chart(
            say, key, "capacity-growth", drawn, 280, columns, rows, source,
            text=(1,), explain=explain, term=say("term.used"),
        )
    ]  # fmt: skip


def _of_store(found: Capacity) -> list[Bar]:
    total = found.total.weights or 1
    bars, taken, kept = [], 0, 0
    for step in found.growth:
        fresh = sum(step.fresh)
        kept += step.claimed if step.isolation == "shared" else 0
        apart = round(step.used - kept / total)
        again = kept - taken - fresh
        bars.append(
            Bar(step.task, step.used, taken / total, fresh / total, again / total, float(apart), step.reused / total)
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


def _drawn(bars: Sequence[Bar], fan: Sequence[Interval], say: Texts) -> Any:
    alt = altair()
    parts = [part for part in _PARTS if any(getattr(bar, part) for bar in bars)] or ["claimed"]
    words = {part: say(f"capacity.growth.{part}") for part in parts}
    top = max([bar.used for bar in bars] + [at.high or 0.0 for at in fan])
    full = top > _FULL_IN_SIGHT
    scale = {"domainMin": 0, "domainMax": max(top, 1.0) * 1.02, "nice": False} if full else {"zero": True}
    tasks, task, part, share, used = say.each("capacity", "growth.tasks", "task", "growth.part", "share", "used")
    layers = [
        alt.Chart(values(list(_cells(bars, parts, words, say))))
        .mark_bar()
        .encode(
            x=counted("place", tasks),
            y=alt.Y("value:Q", title=used, axis={"format": "%" if top > 0.1 else ".1%"}, scale=scale),
            order=alt.Order("layer:Q"),
            color=kinds("part", list(words.values()), [_PARTS[part] for part in parts]),
            tooltip=tips(task=task, part=part, shown=share, used=used),
        )
    ]
    if fan:
        layers += _fan(len(bars), bars[-1].used, fan, say)
    if full:
        rule = alt.Chart(values([{"value": 1.0}])).mark_rule(strokeDash=[6, 4], color=colour("bad"), strokeWidth=1.5)
        layers.append(rule.encode(y="value:Q"))
    return alt.layer(*layers)


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


def _fan(known: int, used: float, fan: Sequence[Interval], say: Texts) -> list[Any]:
    alt = altair()
    forecast = say("capacity.growth.forecast")
    start = {"place": known, "low": used, "median": used, "high": used, "shown": say.percent(used, 2)}
    rows = [
        {"place": known + at, **asdict(found), "shown": interval_shown(found, say)} for at, found in enumerate(fan, 1)
    ]
    drawn = alt.Chart(values([start, *rows])).encode(x="place:O")
    told = [alt.Tooltip("place:O", title=say("capacity.growth.tasks")), *tips(shown=forecast)]
    name = alt.Chart(values([{**rows[-1], "name": forecast}]))
    ink = {"color": colour("c4")}
    return [
        drawn.mark_area(opacity=0.3, **ink).encode(y="low:Q", y2="high:Q"),
        drawn.mark_line(strokeDash=[5, 3], **ink).encode(y="median:Q"),
        drawn.mark_point(filled=True, size=25, **ink).encode(y="median:Q", tooltip=told),
        name.mark_text(align="right", dy=-12, color=colour("ink")).encode(x="place:O", y="high:Q", text="name:N"),
    ]


def _bar_rows(bars: Sequence[Bar], say: Texts) -> Iterator[tuple[str | None, ...]]:
    for place, bar in enumerate(bars, 1):
        used, claimed, again, reused = (say.percent(part, 2) for part in (bar.used, bar.claimed, bar.again, bar.reused))
        yield str(place), bar.task, used, claimed, again, say.number(bar.apart), reused


def _fan_rows(fan: Sequence[Interval], known: int, say: Texts) -> Iterator[tuple[str | None, ...]]:
    for at, found in enumerate(fan, known + 1):
        yield str(at), say("capacity.growth.forecast"), interval_shown(found, say), None, None, None, None
