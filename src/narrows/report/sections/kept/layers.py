"""Of the section on what is kept: one task's layers, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from narrows.analysis.retention import LayerKept, Retention
from narrows.report.block_makers import chart, warning
from narrows.report.blocks import Block, Chart, Citation
from narrows.report.charts import altair, colour, kinds, tips, values
from narrows.report.facts import Facts
from narrows.report.texts import Texts

ROOM: Final = 1.2
"""Length of an axis over that of its longest bar, which has a number at its end."""


def layers(task: Retention, place: int, facts: Facts, say: Texts) -> list[Block]:
    """Kept fraction and suggested ratio, and nats, of each layer; a notice where the record says nothing."""
    if not task.layers:
        return [warning(say, "kept.no_account")]
    directory = facts.records[place].directory
    source = Citation(f"{facts.store_folder}tasks/{directory}/task.json", "layers")
    blocks: list[Block] = [_fractions(task, place, source, say)]
    if any(layer.nats is not None for layer in task.layers):
        blocks.append(_nats(task, place, source, say))
    return blocks


def _fractions(task: Retention, place: int, source: Citation, say: Texts) -> Chart:
    alt = altair()
    names = [layer.layer for layer in task.layers]
    kept, ratio = say.each("kept", "kept", "ratio")
    suggested = any(layer.ratio is not None for layer in task.layers)
    longest = max(_end(layer) for layer in task.layers)
    told = tips(layer=say("kept.layer"), kept_shown=kept, **({"ratio_shown": ratio} if suggested else {}))
    base = alt.Chart(values([_row(layer, say) for layer in task.layers])).encode(
        y=alt.Y("layer:N", sort=names, title=None), tooltip=told
    )
    both = [kept, ratio] if suggested else [kept]
    colours = [colour("kept"), colour("ink")][: len(both)]
    axis, scale = {"format": ".1~%", "tickCount": 5}, {"domain": [0, ROOM * (longest or 1.0)]}
    bars = base.mark_bar().encode(
        x=alt.X("kept:Q", scale=scale, axis=axis, title=None),
        color=kinds("kept_is", both, colours, legend={} if suggested else None),
    )
    labels = base.mark_text(align="left", dx=5, color=colour("ink")).encode(x="end:Q", text="kept_shown:N")
    ink = alt.Color("ratio_is:N", scale={"domain": both, "range": colours})
    ticks = base.mark_tick(thickness=3, size=18).encode(x="ratio:Q", color=ink)
    drawn = alt.layer(bars, *([ticks] if suggested else []), labels)
    columns = ("layer", "weights", "kept_weights", "kept", "claimed", "reused", "nats_kept", "nats_per_weight", "ratio")
    rows = (_cells(layer, say) for layer in [*task.layers, *([task.total] if task.total else [])])
    explain, term = say("kept.layers.explain_ratio" if suggested else "kept.layers.explain"), say("kept.fraction.term")
    return chart(
        say, "kept.layers", f"kept-layers-{place}", drawn, 40 + 24 * len(names), say.each("kept", *columns), rows,
        source, explain=explain, term=term,
    )  # fmt: skip


def _nats(task: Retention, place: int, source: Citation, say: Texts) -> Chart:
    names = [layer.layer for layer in task.layers]
    most = max(layer.nats or 0.0 for layer in task.layers) or 1.0
    columns = layer, nats, each = say.each("kept", "layer", "nats_kept", "nats_per_weight")
    told = tips(layer=layer, nats_shown=nats, each_shown=each)
    cells = [_row(layer, say) for layer in task.layers if layer.nats is not None]
    axis = {"tickCount": 4, "format": ",d" if most > 10 else "g"}
    drawn = lettered_bars(cells, ("layer", names), ("nats", nats, most, axis), "each_shown", told, "c6")
    rows = ((one.layer, say.number(one.nats), say.number(one.nats_per_weight, 3)) for one in task.layers)
    return chart(
        say, "kept.information", f"kept-nats-{place}", drawn, 40 + 24 * len(names), columns, rows, source,
        term=say("kept.nats.term"),
    )  # fmt: skip


def lettered_bars(
    rows: Sequence[Mapping[str, Any]],
    up: tuple[str, Sequence[str] | None],
    along: tuple[str, str, float, dict[str, Any]],
    text: str,
    told: Sequence[Any],
    ink: str,
) -> Any:
    """Bars with a number at their end.

    Args:
        up: the field of the bars' names, and their order.
        along: the field of their length, its title, the longest, its axis.
        text: the field of the number.
        told: what is said when one is pointed at.
        ink: a colour of the page.
    """
    alt = altair()
    field, title, most, axis = along
    base = alt.Chart(values(rows)).encode(
        y=alt.Y(f"{up[0]}:N", sort=up[1], title=None),
        x=alt.X(f"{field}:Q", title=title, scale={"domain": [0, ROOM * most]}, axis=axis),
        tooltip=list(told),
    )
    number = base.mark_text(align="left", dx=5, color=colour("ink")).encode(text=f"{text}:N")
    return alt.layer(base.mark_bar(color=colour(ink)), number)


def _row(layer: LayerKept, say: Texts) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "kept": layer.density,
        "kept_shown": say.percent(layer.density),
        "end": _end(layer),
        "kept_is": say("kept.kept"),
        "ratio": layer.ratio,
        "ratio_shown": say.percent(layer.ratio),
        "ratio_is": say("kept.ratio"),
        "nats": layer.nats,
        "nats_shown": say.number(layer.nats),
        "each_shown": say.number(layer.nats_per_weight, 3),
    }


def _end(layer: LayerKept) -> float:
    """Of what is drawn of it."""
    return max(layer.density, layer.ratio or 0.0)


def _cells(layer: LayerKept, say: Texts) -> tuple[str | None, ...]:
    name, weights = layer.layer or say("kept.together"), say.number(layer.weights)
    return name, weights, *counts(layer, say), say.percent(layer.ratio)


def counts(layer: LayerKept, say: Texts) -> tuple[str, ...]:
    """Weights kept, the fraction, claimed, reused, nats kept, nats for each weight."""
    return (
        say.number(layer.kept),
        say.percent(layer.density),
        say.number(layer.claimed),
        say.number(layer.reused),
        say.number(layer.nats),
        say.number(layer.nats_per_weight, 3),
    )
