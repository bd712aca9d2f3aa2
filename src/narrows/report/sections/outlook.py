"""Of the section on capacity: how many more tasks fit, which layer is full first, and how far to trust that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from narrows.analysis.back_test import BackTest, HorizonError, Retried
from narrows.analysis.forecast import Forecast, Interval
from narrows.report.blocks import Block, Chart, Citation, Notice, Stat, Stats, Table, Tone
from narrows.report.charts import altair, category, colour, spec_of, values
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
    blocks: list[Block] = [_figures(facts, found, say, (masks, method)), _sentence(found, say)]
    if found.weak:
        blocks.append(Notice(say("capacity.outlook.weak", tasks=found.rests_on), "warn"))
    blocks.append(_layers(found, say, (masks, method)))
    if tested is None:
        blocks.append(Notice(say("capacity.back.none"), "plain"))
    else:
        blocks += _back(facts, tested, say, (masks,))
    return blocks


def _figures(facts: Facts, found: Forecast, say: Texts, sources: tuple[Citation, ...]) -> Stats:
    assert facts.capacity is not None  # there is a forecast
    total = facts.capacity.total
    low = found.fits.low
    fine: Tone = "plain" if found.weak or doubted(facts.back_test) else "good"
    tone: Tone = "bad" if found.refused else "warn" if low is not None and low <= _SOON else fine
    stats = [
        Stat(
            say("capacity.outlook.fits.title"),
            say(
                "capacity.outlook.fits.explain", level=say.percent(found.level, 0), range=_range(found.fits, found, say)
            ),
            say("capacity.outlook.fits.term"),
            sources,
            _tasks(found.fits.median, found, say),
            tone,
        ),
        Stat(
            say("capacity.outlook.free.title"),
            say("capacity.outlook.free.explain", free=say.number(total.free), weights=say.number(total.weights)),
            "",
            sources[:1],
            say.percent(total.free / total.weights),
        ),
    ]
    limit = found.next_limit
    if limit is not None:
        explain = say("capacity.outlook.next.explain", range=_range(limit.tasks, found, say))
        title, term = say("capacity.outlook.next.title"), say("capacity.outlook.next.term")
        stats.append(Stat(title, explain, term, sources, limit.layer, "plain"))
    return Stats(tuple(stats))


def _sentence(found: Forecast, say: Texts) -> Notice:
    """What follows from the figures, for who reads one sentence."""
    if found.refused:
        return Notice(say("capacity.outlook.refused"), "bad")
    fits = say(
        "capacity.outlook.says",
        rests=found.rests_on,
        fits=_tasks(found.fits.median, found, say),
        range=_range(found.fits, found, say),
        level=say.percent(found.level, 0),
    )
    after = say("capacity.outlook.says_refines" if found.refines else "capacity.outlook.says_refused")
    return Notice(say.sentences(fits, after))


def _tasks(count: float | None, found: Forecast, say: Texts) -> str:
    """A number of tasks; more than was looked ahead is "300 or more"."""
    return say("capacity.outlook.beyond", count=found.horizon) if count is None else say.number(count)


def _range(interval: Interval, found: Forecast, say: Texts) -> str:
    low, high = _tasks(interval.low, found, say), _tasks(interval.high, found, say)
    return low if low == high else say("capacity.outlook.from_to", low=low, high=high)


def _layers(found: Forecast, say: Texts, sources: tuple[Citation, ...]) -> Table:
    shown = found.layers[:_MOST_LAYERS]
    rows = tuple(
        (limit.layer, *(_tasks(edge, found, say) for edge in (limit.tasks.median, limit.tasks.low, limit.tasks.high)))
        for limit in shown
    )
    explain = say("capacity.outlook.layers.explain", shown=len(shown), layers=len(found.layers))
    columns = (say("capacity.layer"), *(say(f"capacity.outlook.layers.{key}") for key in ("median", "low", "high")))
    return Table(
        say("capacity.outlook.layers.title"), explain, "", sources, columns, rows, frozenset({1, 2, 3}), folded=True
    )


def _back(facts: Facts, tested: BackTest, say: Texts, sources: tuple[Citation, ...]) -> list[Block]:
    """What came, and what had been forecast for it 1, 5 and 10 tasks before; how often it was right."""
    assert facts.capacity is not None  # there is a back-test
    names = [step.task for step in facts.capacity.growth if step.isolation == "shared"]
    shown = [retried for retried in tested.forecasts if retried.ahead in _AHEAD]
    title = say("capacity.back.title")
    explain = say(
        "capacity.back.explain",
        count=len(tested.forecasts),
        error=say.number(100 * tested.all.error, 2),
        within=say.percent(tested.all.within, 0),
        level=say.percent(tested.level, 0),
    )
    rows = tuple(
        (
            names[one.known + one.ahead - 1],
            str(one.ahead),
            *(say.percent(value, 2) for value in (one.median, one.low, one.high, one.truth)),
        )
        for one in shown
    )
    columns = tuple(
        say(f"capacity.{key}") for key in ("task", "back.ahead", "back.median", "back.low", "back.high", "back.truth")
    )
    table = Table(title, "", "", (), columns, rows, frozenset(range(1, 6)))
    spec = _spec(names, shown, explain, say)
    chart = Chart(title, explain, say("capacity.back.term"), sources, "capacity-back-test", spec, table)
    blocks: list[Block] = [chart, _errors(tested, say, sources)]
    if len(tested.forecasts) < _FEW_FORECASTS:
        blocks.append(Notice(say("capacity.back.few", count=len(tested.forecasts)), "warn"))
    elif doubted(tested):
        blocks.append(Notice(say("capacity.back.doubt"), "warn"))
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


def _errors(tested: BackTest, say: Texts, sources: tuple[Citation, ...]) -> Table:
    rows = tuple(
        (
            say.number(horizon.ahead),
            say.number(horizon.count),
            say.number(100 * horizon.error, 2),
            say.percent(horizon.within, 0),
        )
        for horizon in tested.horizons
    )
    columns = tuple(say(f"capacity.back.{key}") for key in ("ahead", "count", "error", "within"))
    title, explain = say("capacity.back.errors.title"), say("capacity.back.errors.explain")
    return Table(
        title, explain, say("capacity.back.errors.term"), sources, columns, rows, frozenset(range(4)), folded=True
    )


def _spec(names: Sequence[str], shown: Sequence[Retried], explain: str, say: Texts) -> dict[str, Any]:
    alt = altair()
    ahead = sorted({one.ahead for one in shown})
    kinds = {at: say("capacity.back.kind", ahead=at) for at in ahead}
    came = say("capacity.back.truth")
    scale = alt.Scale(
        domain=[came, *kinds.values()], range=[colour("ink"), *(category(at + 1) for at in range(len(ahead)))]
    )
    cells = [
        {
            "place": one.known + one.ahead,
            "task": names[one.known + one.ahead - 1],
            "kind": kinds[one.ahead],
            "ahead": one.ahead,
            "low": one.low,
            "median": one.median,
            "high": one.high,
            "truth": one.truth,
            "shown": say(
                "capacity.range",
                median=say.percent(one.median, 2),
                low=say.percent(one.low, 2),
                high=say.percent(one.high, 2),
            ),
            "came": say.percent(one.truth, 2),
        }
        for one in shown
    ]
    truth = [
        {"place": place, "value": value}
        for place, value in sorted({one["place"]: one["truth"] for one in cells}.items())
    ]
    tooltip = [
        alt.Tooltip("task:N", title=say("capacity.task")),
        alt.Tooltip("kind:N", title=say("capacity.back.forecast")),
        alt.Tooltip("shown:N", title=say("capacity.back.median")),
        alt.Tooltip("came:N", title=came),
    ]
    x = alt.X(
        "place:O",
        title=say("capacity.growth.tasks"),
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6),
    )
    y = alt.Y("median:Q", title=say("capacity.back.taken"), axis=alt.Axis(format=".2~%"), scale=alt.Scale(zero=False))
    colours = alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(symbolOpacity=1))
    # Of the type "ordinal": on the default scale, a point scale, a single width would be no number.
    steps = alt.Scale(type="ordinal", domain=ahead, range=[3, 7, 11][: len(ahead)])
    widths = alt.Size("ahead:O", sort=ahead, scale=steps, legend=None)
    made = alt.Chart(values(cells)).encode(x=x, color=colours, tooltip=tooltip)
    line = alt.Chart(values(truth)).mark_line(strokeWidth=2).encode(x=x, y="value:Q", color=alt.datum(came))
    bars = made.mark_rule(opacity=0.45).encode(y=alt.Y("low:Q"), y2="high:Q", size=widths)
    points = made.mark_point(filled=True, size=36, opacity=1).encode(y=y)
    return spec_of(alt.layer(line, bars, points).properties(description=explain), height=260)
