"""Of the section on training: how loss, size, log alpha, learning rate and scores went over the steps of a task.

Series go into a chart as columns, which Vega-Lite takes apart (`flatten`): many tasks have many points.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from narrows.report.block_makers import Rows, chart
from narrows.report.blocks import Block, Chart, Citation, Notice
from narrows.report.charts import altair, between, colour, kinds, mixed, short_names, tips
from narrows.report.texts import Texts
from narrows.training import History

_FEW_TASKS: Final = 12
_POINTS: Final = 32
"""At most, of each of more tasks than a few."""
_RATES: Final = 16
"""Points that a learning rate's curve needs."""
_ALPHA: Final = (-10.0, 4.0)
"""What the axis of log alpha shows at most; beyond it weights are surely in, or out."""
_QUANTILES: Final = ("low", "lower", "middle", "upper", "high")
_HEIGHT: Final = 170

Columns = Mapping[str, Sequence[Any]]
"""Series of the same length by field, and texts that are the same for all of it."""


def thinned(history: History, tasks: int) -> History:
    """Every second, fourth, ... of its points where there are many tasks, so that the page stays small."""
    return _fewer(history, _POINTS) if tasks > _FEW_TASKS else history


def _fewer(history: History, most: int) -> History:
    every = 1
    while len(history.points) > most * every:
        every *= 2
    return replace(history, points=history.points[::every])


def overlaid(histories: Mapping[str, History], say: Texts, source: Citation) -> Chart | None:
    """The losses of several tasks in one chart; None where none is known."""
    alt = altair()
    columns: dict[str, list[Any]] = {"task": [], "step": [], "loss": []}
    for label, history in zip(short_names(list(histories)), histories.values(), strict=True):
        for point in history.points:
            if point.loss is not None:
                for key, value in (("task", label), ("step", point.step), ("loss", point.loss)):
                    columns[key].append(value)
    if not columns["loss"]:
        return None
    task, step, loss = say.each("training", "task", "step", "loss.axis")
    names = short_names(list(histories))
    ink = kinds("task", names, between("c1", "c2", len(names)), sort=None)
    parts = [_mark().mark_line(strokeWidth=1.5), _spots([*tips(task=task), *_tips(say, "step", "loss")])]
    drawn = _layers(parts, columns, say).encode(y=alt.Y("loss:Q", title=loss), color=ink)
    rows = ((name, say.number(at), say.number(value)) for name, at, value in zip(*columns.values(), strict=True))
    return _chart("losses", "training-losses", drawn, columns, (task, step, loss), rows, say, source, text=(0,))


def courses(history: History, place: int, say: Texts, source: Citation) -> list[Block]:
    """What is known of one task, the `place`-th."""
    found = (
        _line("loss", history, place, say, source, "c2"),
        _size(history, place, say, source),
        _alpha(history, place, say, source),
        _line("lr", _fewer(history, _RATES), place, say, source, "c7", height=90),
        _scores(history, place, say, source),
    )
    blocks: list[Block] = [one for one in found if one is not None]
    return blocks or [Notice(say("training.empty"), "plain")]


def _line(
    key: str, history: History, place: int, say: Texts, source: Citation, ink: str, height: int = _HEIGHT
) -> Chart | None:
    alt = altair()
    known = [(point.step, value) for point in history.points if (value := getattr(point, key)) is not None]
    if not known:
        return None
    columns: Columns = {"step": [step for step, _ in known], key: [value for _, value in known]}
    axis = {"format": "~g", "tickCount": 3 if height < _HEIGHT else 5}
    parts = [_mark().mark_line(color=colour(ink)), _spots(_tips(say, "step", key))]
    titles = say.each("training", "step", f"{key}.axis")
    drawn = _layers(parts, columns, say).encode(y=alt.Y(f"{key}:Q", title=titles[1], axis=axis))
    rows = ((say.number(step), say.number(value)) for step, value in known)
    return _chart(key, f"training-{key}-{place}", drawn, columns, titles, rows, say, source, height)


def _size(history: History, place: int, say: Texts, source: Citation) -> Chart | None:
    """Claimed and reused weights, one on the other."""
    alt = altair()
    known = [
        (point.step, point.new, point.reused)
        for point in history.points
        if point.new is not None and point.reused is not None
    ]
    if not known:
        return None
    below, above = say.each("training.size", "reused", "claimed")
    columns: Columns = {
        "step": [step for step, _, _ in known],
        "claimed": [claimed for _, claimed, _ in known],
        "reused": [reused for _, _, reused in known],
        "density": [claimed + reused for _, claimed, reused in known],
        "below": below,
        "above": above,
    }
    both = ([below, above], [colour("reused"), colour("kept")])
    y = alt.Y("density:Q", title=say("training.size.axis"), axis={"format": "%"})
    told = [_tip(key, say(f"training.size.{key}"), ".2%") for key in ("reused", "claimed", "density")]
    parts = [
        _mark().mark_area().encode(y="reused:Q", color=kinds("below", *both)),
        _mark().mark_area().encode(y=y, y2="reused:Q", color=kinds("above", *both)),
        _spots([*_tips(say, "step"), *told]).encode(y="density:Q"),
    ]
    drawn = _layers(parts, columns, say)
    rows = (
        (say.number(step), *(say.percent(part, 2) for part in (reused, claimed, claimed + reused)))
        for step, claimed, reused in known
    )
    titles = (say("training.step"), below, above, say("training.size.density"))
    return _chart("size", f"training-size-{place}", drawn, columns, titles, rows, say, source)


def _alpha(history: History, place: int, say: Texts, source: Citation) -> Chart | None:
    """Bands of the quantiles, and the line where weights leave."""
    alt = altair()
    known = [(point.step, point.log_alpha) for point in history.points if point.log_alpha is not None]
    if not known:
        return None
    columns: dict[str, list[Any]] = {"step": [step for step, _ in known]}
    columns |= {name: [row[at] for _, row in known] for at, name in enumerate(_QUANTILES)}
    ends = (min(columns["low"]), max([*columns["high"], 0.0]))
    scale = {"domain": [max(ends[0], _ALPHA[0]), min(ends[1] + 0.5, _ALPHA[1])], "nice": False}
    y = alt.Y("low:Q", title=say("training.alpha.axis"), scale=scale)
    parts = [
        _mark().mark_area(color=mixed("c1", 0.25), clip=True).encode(y=y, y2="high:Q"),
        _mark().mark_area(color=mixed("c1", 0.5), clip=True).encode(y="lower:Q", y2="upper:Q"),
        _mark().mark_line(color=colour("c1"), clip=True).encode(y="middle:Q"),
        _mark().mark_line(color=colour("bad"), strokeDash=[5, 3]).encode(y=alt.datum(0)),
        _spots(_tips(say, "step", *(f"alpha.{name}" for name in _QUANTILES))).encode(y="middle:Q"),
    ]
    rows = ((say.number(step), *(say.number(value, 3) for value in row)) for step, row in known)
    titles = say.each("training", "step", *(f"alpha.{name}" for name in _QUANTILES))
    return _chart("alpha", f"training-alpha-{place}", _layers(parts, columns, say), columns, titles, rows, say, source)


def _scores(history: History, place: int, say: Texts, source: Citation) -> Chart | None:
    """What validation data gave after each epoch, and the epoch that was kept."""
    alt = altair()
    known = [(score.epoch + 1, score.value) for score in history.scores if score.value is not None]
    if not known:
        return None
    best = None if history.best_epoch is None else history.best_epoch + 1
    columns: Columns = {
        "epoch": [epoch for epoch, _ in known],
        "score": [value for _, value in known],
        "best": [int(epoch == best) for epoch, _ in known],
    }
    epoch, score, _ = titles = say.each("training.scores", "epoch", "score", "best")
    here = alt.when("datum.best == 1")
    points = _mark().mark_point(filled=True, opacity=1)
    points = points.encode(
        size=here.then(alt.value(150)).otherwise(alt.value(30)),
        color=here.then(alt.value(colour("good"))).otherwise(alt.value(colour("c7"))),
        tooltip=_tips(say, "scores.epoch", "scores.score"),
    )
    drawn = _layers([_mark().mark_line(color=colour("c7")), points], columns, say).encode(
        x=alt.X("epoch:Q", title=epoch, axis={"tickMinStep": 1, "format": "d"}),
        y=alt.Y("score:Q", title=score, scale={"zero": False}),
    )
    rows = (
        (say.number(at), say.number(value), say("training.scores.kept") if at == best else None) for at, value in known
    )
    return _chart("scores", f"training-scores-{place}", drawn, columns, titles, rows, say, source, text=(2,))


def _mark() -> Any:
    """A layer without data of its own: it has the chart's."""
    return altair().Chart()


def _spots(tips: Sequence[Any]) -> Any:
    """What is pointed at to read off numbers: a line or an area would tell of its first point only."""
    return _mark().mark_point(opacity=0, size=80, clip=True).encode(tooltip=list(tips))


def _layers(parts: Sequence[Any], columns: Columns, say: Texts) -> Any:
    """Over steps. The columns come in by name (`_chart`): Altair would look at every number, more than once."""
    alt = altair()
    axis = {"format": ",d", "tickMinStep": 1}
    x = alt.X("step:Q", title=say("training.step"), scale={"nice": False}, axis=axis)
    layered = alt.layer(*parts, data=alt.NamedData("columns")).encode(x=x)
    return layered.transform_flatten([key for key, found in columns.items() if not isinstance(found, str)])


def _tips(say: Texts, *keys: str) -> list[Any]:
    """Numbers to read off, by the last part of their words' key."""
    titles = {"step": "training.step", "loss": "training.loss.axis", "lr": "training.lr.axis"}
    return [_tip(key.split(".")[-1], say(titles.get(key, f"training.{key}"))) for key in keys]


def _tip(field: str, title: str, shown: str = ",.4~g") -> Any:
    return altair().Tooltip(f"{field}:Q", title=title, format=shown)


def _chart(
    key: str,
    name: str,
    drawn: Any,
    columns: Columns,
    titles: Sequence[str],
    rows: Rows,
    say: Texts,
    source: Citation,
    height: int = _HEIGHT,
    text: Collection[int] = (),
) -> Chart:
    """The chart with its words, its columns and its numbers."""
    made = chart(say, f"training.{key}", name, drawn, height, titles, rows, source, text=text)
    return replace(made, spec={**made.spec, "datasets": {"columns": [dict(columns)]}})
