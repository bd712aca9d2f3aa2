"""Of the section on capacity: how many more tasks fit, which layer is full first, and how far to trust that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from narrows.analysis.back_test import BackTest, HorizonError, Retried
from narrows.analysis.forecast import Forecast, Interval
from narrows.report.block_makers import chart, stat, table, warning
from narrows.report.blocks import Block, Citation, Notice, Stats, Table, Tone
from narrows.report.charts import altair, category, colour, counted, kinds, tips, values
from narrows.report.facts import Facts
from narrows.report.texts import Texts

_AHEAD: Final = (1, 5, 10)
"""Forecasts so many tasks ahead are drawn."""
_MOST_LAYERS: Final = 40
_SOON: Final = 3
"""So few tasks left are a warning."""
_FEW_FORECASTS: Final = 10
_SHORT_OF_LEVEL: Final = 0.15
"""So much less of what came within the interval than it should hold is more than bad luck."""


def outlook(facts: Facts, say: Texts) -> list[Block]:
    """Figures, a sentence, the layers, and the back-test; a notice where no task shares weights."""
    found, tested = facts.forecast, facts.back_test
    if found is None:
        return []
    masks = Citation(f"{facts.store_folder}tasks/*/mask.bin")
    method = Citation(f"{facts.store_folder}tasks/*/task.json", "method")
    blocks: list[Block] = [_figures(facts, found, say, masks, method), _sentence(found, say)]
    if found.weak:
        blocks.append(warning(say, "capacity.outlook.weak", tasks=found.rests_on))
    blocks.append(_layers(found, say, masks, method))
    if tested is None:
        return [*blocks, Notice(say("capacity.back.none"), "plain")]
    return [*blocks, *_back(facts, tested, say, masks)]


def _figures(facts: Facts, found: Forecast, say: Texts, masks: Citation, method: Citation) -> Stats:
    assert facts.capacity is not None  # there is a forecast
    total = facts.capacity.total
    low = found.fits.low
    fine: Tone = "plain" if found.weak or doubted(facts.back_test) else "good"
    tone: Tone = "bad" if found.refused else "warn" if low is not None and low <= _SOON else fine
    fits, between = _tasks(found.fits.median, found, say), _range(found.fits, found, say)
    level, key = say.percent(found.level, 0), "capacity.outlook"
    free, weights = say.number(total.free), say.number(total.weights)
    stats = [
        stat(say, f"{key}.fits", fits, masks, method, tone=tone, level=level, range=between),
        stat(say, f"{key}.free", say.percent(total.free / total.weights), masks, free=free, weights=weights),
    ]
    if (limit := found.next_limit) is not None:
        stats.append(stat(say, f"{key}.next", limit.layer, masks, method, range=_range(limit.tasks, found, say)))
    return Stats(tuple(stats))


def _sentence(found: Forecast, say: Texts) -> Notice:
    """What follows from the figures, for who reads one sentence."""
    if found.refused:
        return Notice(say("capacity.outlook.refused"), "bad")
    fits, between = _tasks(found.fits.median, found, say), _range(found.fits, found, say)
    level = say.percent(found.level, 0)
    told = say("capacity.outlook.says", rests=found.rests_on, fits=fits, range=between, level=level)
    after = say("capacity.outlook.says_refines" if found.refines else "capacity.outlook.says_refused")
    return Notice(say.sentences(told, after))


def _tasks(count: float | None, found: Forecast, say: Texts) -> str:
    """A number of tasks; more than was looked ahead is "300 or more"."""
    return say("capacity.outlook.beyond", count=found.horizon) if count is None else say.number(count)


def _range(interval: Interval, found: Forecast, say: Texts) -> str:
    low, high = _tasks(interval.low, found, say), _tasks(interval.high, found, say)
    return low if low == high else say("capacity.outlook.from_to", low=low, high=high)


def _layers(found: Forecast, say: Texts, *sources: Citation) -> Table:
    shown, key = found.layers[:_MOST_LAYERS], "capacity.outlook.layers"
    rows = (
        (limit.layer, *(_tasks(edge, found, say) for edge in (limit.tasks.median, limit.tasks.low, limit.tasks.high)))
        for limit in shown
    )
    columns = (say("capacity.layer"), *say.each(key, "median", "low", "high"))
    return table(say, key, columns, rows, *sources, folded=True, shown=len(shown), layers=len(found.layers))


def _back(facts: Facts, tested: BackTest, say: Texts, masks: Citation) -> list[Block]:
    """What came, and what had been forecast for it 1, 5 and 10 tasks before; how often it was right."""
    assert facts.capacity is not None  # there is a back-test
    names = [step.task for step in facts.capacity.growth if step.isolation == "shared"]
    shown = [retried for retried in tested.forecasts if retried.ahead in _AHEAD]
    explain = say(
        "capacity.back.explain",
        count=len(tested.forecasts),
        error=say.number(100 * tested.all.error, 2),
        within=say.percent(tested.all.within, 0),
        level=say.percent(tested.level, 0),
    )
    rows = (
        (
            names[one.known + one.ahead - 1],
            str(one.ahead),
            *(say.percent(value, 2) for value in (one.median, one.low, one.high, one.truth)),
        )
        for one in shown
    )
    back = [f"back.{key}" for key in ("ahead", "median", "low", "high", "truth")]
    columns, drawn = say.each("capacity", "task", *back), _drawn(names, shown, say)
    blocks: list[Block] = [
        chart(say, "capacity.back", "capacity-back-test", drawn, 260, columns, rows, masks, explain=explain),
        _errors(tested, say, masks),
    ]
    if len(tested.forecasts) < _FEW_FORECASTS:
        blocks.append(warning(say, "capacity.back.few", count=len(tested.forecasts)))
    elif doubted(tested):
        blocks.append(warning(say, "capacity.back.doubt"))
    return blocks


def trusted(tested: BackTest) -> HorizonError:
    """How the forecasts that rest on three tasks or more did; all of them where those are too few."""
    settled = tested.settled
    return settled if settled is not None and settled.count >= _FEW_FORECASTS else tested.all


def doubted(tested: BackTest | None) -> bool:
    """Whether enough earlier forecasts missed their interval to say that this one's is too narrow."""
    if tested is None or len(tested.forecasts) < _FEW_FORECASTS:
        return False
    return trusted(tested).within < tested.level - _SHORT_OF_LEVEL


def _errors(tested: BackTest, say: Texts, masks: Citation) -> Table:
    rows = (
        (say.number(at.ahead), say.number(at.count), say.number(100 * at.error, 2), say.percent(at.within, 0))
        for at in tested.horizons
    )
    columns = say.each("capacity.back", "ahead", "count", "error", "within")
    return table(say, "capacity.back.errors", columns, rows, masks, text=(), folded=True)


def _drawn(names: Sequence[str], shown: Sequence[Retried], say: Texts) -> Any:
    alt = altair()
    ahead = sorted({one.ahead for one in shown})
    of = {at: say("capacity.back.kind", ahead=at) for at in ahead}
    task, tasks, forecast, median, came, taken = say.each(
        "capacity", "task", "growth.tasks", *(f"back.{key}" for key in ("forecast", "median", "truth", "taken"))
    )
    cells = [
        {
            "place": one.known + one.ahead,
            "task": names[one.known + one.ahead - 1],
            "kind": of[one.ahead],
            "ahead": one.ahead,
            "low": one.low,
            "median": one.median,
            "high": one.high,
            "truth": one.truth,
            "shown": interval_shown(Interval(one.low, one.median, one.high), say),
            "came": say.percent(one.truth, 2),
        }
        for one in shown
    ]
    truth = sorted({one["place"]: one["truth"] for one in cells}.items())
    # Of the type "ordinal": on the default scale, a point scale, a single width would be no number.
    steps = {"type": "ordinal", "domain": ahead, "range": [3, 7, 11][: len(ahead)]}
    colours = [colour("ink"), *(category(at + 1) for at in range(len(ahead)))]
    ink, x = kinds("kind", [came, *of.values()], colours, legend={"symbolOpacity": 1}), counted("place", tasks)
    y = alt.Y("median:Q", title=taken, axis={"format": ".2~%"}, scale={"zero": False})
    told = tips(task=task, kind=forecast, shown=median, came=came)
    made = alt.Chart(values(cells)).encode(x=x, color=ink, tooltip=told)
    line = alt.Chart(values([{"place": place, "value": value} for place, value in truth])).mark_line(strokeWidth=2)
    widths = alt.Size("ahead:O", sort=ahead, scale=steps, legend=None)
    return alt.layer(
        line.encode(x=x, y="value:Q", color=alt.datum(came)),
        made.mark_rule(opacity=0.45).encode(y=alt.Y("low:Q"), y2="high:Q", size=widths),
        made.mark_point(filled=True, size=36, opacity=1).encode(y=y),
    )


def interval_shown(found: Interval, say: Texts) -> str:
    """The median of fractions, and what most futures lie within."""
    low, median, high = (say.percent(edge, 2) for edge in (found.low, found.median, found.high))
    return say("capacity.range", median=median, low=low, high=high)
