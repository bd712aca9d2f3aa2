"""Of the section on what is kept: the counter-check, so that what was wrongly suppressed shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from narrows.analysis.check_results import CounterCheck, Finding, LayerCheck
from narrows.analysis.measurements import TaskMeasured
from narrows.analysis.scoring import ScoreChange
from narrows.report.block_makers import chart, table
from narrows.report.blocks import MANY_ROWS, Block, Chart, Notice
from narrows.report.charts import altair, category, colour, kinds, tips, values
from narrows.report.facts import Facts
from narrows.report.sections.kept.leaning import source_of
from narrows.report.texts import Texts

_CHANGES = ("perturbed", "removed", "put_back", "moved", "control")


def all_tasks(facts: Facts, say: Texts) -> list[Block]:
    """The verdict on every task that was measured."""
    if facts.measured is None or not facts.measured.tasks:
        return []
    rows = []
    for found in facts.measured.tasks:
        check = found.check
        where = say("kept.comma").join(dict.fromkeys(_where(finding, say) for finding in check.findings))
        rows.append(
            (
                found.task,
                say.number(found.examples),
                say(f"kept.scores.{check.score}"),
                say.percent(check.baseline),
                spread(check.error, say),
                say.number(len(check.findings)),
                where or None,
            )
        )
    columns = say.each("kept", "task", "examples", "score", "before", "error", "findings", "where")
    folded = len(rows) > MANY_ROWS and not any(found.check.findings for found in facts.measured.tasks)
    made = table(say, "kept.check", columns, rows, source_of(say), text=(0, 2, 6), folded=folded)
    return [replace(made, title=say("kept.check.all"))]


def one_task(place: int, measured: TaskMeasured | None, say: Texts) -> list[Block]:
    """What each layer's trial gave, what that says, and a chart of it."""
    if measured is None:
        return []
    check = measured.check
    blocks: list[Block] = [Notice(text, tone) for text, tone in verdict(check, say)]
    if check.layers:
        blocks.append(_chart(place, check, say))
    if check.left_out:
        blocks.append(Notice(say("kept.check.left_out", layers=say("kept.comma").join(check.left_out))))
    return blocks


def verdict(check: CounterCheck, say: Texts) -> Iterator[tuple[str, Any]]:
    """What the counter-check says, in sentences."""
    if not check.findings:
        yield (
            say(
                "kept.check.sound",
                layers=say.number(len(check.layers)),
                examples=say.number(check.examples),
                p=say.number(check.threshold, 2),
            ),
            "good",
        )
    for finding in check.findings:
        yield _finding(finding, say), "warn"


def spread(error: float | None, say: Texts) -> str:
    """A standard error, in points."""
    return say("kept.plus_minus", error=say.number(None if error is None else 100 * error, 2))


def change(found: ScoreChange | None, say: Texts) -> str | None:
    """A gain with its standard error, in points; None where nothing was tried."""
    return None if found is None else f"{say.points(found.gain)} {spread(found.error, say)}"


def _finding(finding: Finding, say: Texts) -> str:
    way = "put_back" if finding.way == "put back" else "moved"
    text = say(
        f"kept.check.found_{way}",
        layer=finding.layer,
        score=say(f"kept.scores.{finding.score}"),
        change=change(finding.change, say),
    )
    one = finding.class_change
    if one is not None:
        text += " " + say("kept.check.found_class", name=one.group, change=change(one, say), examples=one.examples)
    return text + " " + say("kept.check.found_means")


def _where(finding: Finding, say: Texts) -> str:
    one = finding.class_change
    return finding.layer if one is None else say("kept.check.layer_class", layer=finding.layer, name=one.group)


def _chart(place: int, check: CounterCheck, say: Texts) -> Chart:
    alt = altair()
    # To remove all kept weights costs so much that nothing else could be seen beside it.
    points = [
        point
        for layer in check.layers
        for point in _points(layer, check.baseline, say)
        if point["what"] != say("kept.check.removed")
    ]
    shown = [name for name in _names(check, say) if any(point["what"] == name for point in points)]
    every = _names(check, say)
    ink = kinds("what", shown, [category(every.index(name)) for name in shown], sort=shown)
    layer, what, change_ = say.each("kept", "layer", "check.what", "check.change")
    base = alt.Chart(values(points)).encode(
        y=alt.Y("layer:N", sort=[layer.layer for layer in check.layers], title=None),
        yOffset=alt.YOffset("what:N", sort=shown),
        color=ink,
        tooltip=tips(layer=layer, what=what, shown=change_),
    )
    zero = alt.Chart(values([{"zero": 0}])).mark_rule(color=colour("soft"), strokeDash=[4, 3]).encode(x="zero:Q")
    axis = alt.X("low:Q", title=change_, axis={"tickCount": 6})
    drawn = alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=axis, x2="high:Q"),
        base.mark_point(filled=True, size=45, opacity=1).encode(x="gain:Q"),
        zero,
    )
    height = 50 + max(26, 11 * len(shown)) * len(check.layers)
    columns = (*say.each("kept", "layer", "check.kept"), *every, say("kept.check.advantage"))
    explain = say("kept.check.chart")
    return chart(
        say, "kept.check", f"kept-check-{place}", drawn, height, columns, _rows(check, say), source_of(say),
        explain=explain,
    )  # fmt: skip


def _names(check: CounterCheck, say: Texts) -> list[str]:
    levels = check.layers[0].perturbed if check.layers else ()
    levels = next((layer.perturbed for layer in check.layers if layer.perturbed), levels)
    noise = [say("kept.check.perturbed", level=say.percent(level.level, 0)) for level in levels]
    return [*noise, *(say(f"kept.check.{name}") for name in _CHANGES[1:])]


def _points(layer: LayerCheck, baseline: float, say: Texts) -> Iterator[dict[str, Any]]:
    """In points, each with one standard error to either side."""
    found: list[tuple[str, float, float]] = [
        (say("kept.check.perturbed", level=say.percent(noise.level, 0)), noise.score - baseline, noise.error)
        for noise in layer.perturbed
    ]
    moved, control = (None, None) if layer.moved is None else (layer.moved.dropped, layer.moved.control)
    for name, tried in zip(_CHANGES[1:], (layer.removed, layer.put_back, moved, control), strict=True):
        if tried is not None:
            found.append((say(f"kept.check.{name}"), tried.gain, tried.error))
    for what, gain, error in found:
        yield {
            "layer": layer.layer,
            "what": what,
            "gain": round(100 * gain, 4),
            "low": round(100 * (gain - error), 4),
            "high": round(100 * (gain + error), 4),
            "shown": f"{say.points(gain)} {spread(error, say)}",
        }


def _rows(check: CounterCheck, say: Texts) -> Iterator[tuple[str | None, ...]]:
    for layer in check.layers:
        noise: list[str | None] = [
            f"{say.points(at.score - check.baseline)} {spread(at.error, say)}" for at in layer.perturbed
        ]
        noise += [None] * (len(_names(check, say)) - 4 - len(noise))
        tried = layer.moved
        moved, control, over = (None,) * 3 if tried is None else (tried.dropped, tried.control, tried.advantage)
        changes = (change(found, say) for found in (layer.removed, layer.put_back, moved, control, over))
        yield layer.layer, f"{say.number(layer.kept)} / {say.number(layer.weights)}", *noise, *changes
