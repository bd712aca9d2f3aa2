"""Of the section on what is kept: one task's layers, in numbers."""

from __future__ import annotations

from typing import Any, Final

from narrows.analysis.retention import Kept, Retention
from narrows.report.blocks import Block, Chart, Citation, Notice, Table
from narrows.report.charts import altair, colour, spec_of, values
from narrows.report.facts import Facts
from narrows.report.texts import Texts

_ROOM: Final = 1.2
"""Length of an axis over that of its longest bar, which has a number at its end."""


def layers(task: Retention, place: int, facts: Facts, say: Texts) -> list[Block]:
    """Kept fraction and suggested ratio, and nats, of each layer; a notice where the record says nothing."""
    if not task.layers:
        return [Notice(say("kept.no_account"), "warn")]
    directory = facts.records[place].directory
    source = Citation(f"{facts.store_folder}tasks/{directory}/task.json", "layers")
    blocks: list[Block] = [_fractions(task, place, source, say)]
    if any(layer.nats is not None for layer in task.layers):
        blocks.append(_nats(task, place, source, say))
    return blocks


def _fractions(task: Retention, place: int, source: Citation, say: Texts) -> Chart:
    alt = altair()
    names = [layer.layer for layer in task.layers]
    kept, ratio = say("kept.kept"), say("kept.ratio")
    suggested = any(layer.ratio is not None for layer in task.layers)
    longest = max(_end(layer) for layer in task.layers)
    base = alt.Chart(values([_row(layer, say) for layer in task.layers])).encode(
        y=alt.Y("layer:N", sort=names, title=None),
        tooltip=[
            alt.Tooltip("layer:N", title=say("kept.layer")),
            alt.Tooltip("kept_shown:N", title=kept),
            *([alt.Tooltip("ratio_shown:N", title=ratio)] if suggested else []),
        ],
    )
    both = [kept, ratio] if suggested else [kept]
    scale = alt.Scale(domain=both, range=[colour("kept"), colour("ink")][: len(both)])
    axis = alt.Axis(format=".1~%", tickCount=5)
    bars = base.mark_bar().encode(
        x=alt.X("kept:Q", scale=alt.Scale(domain=[0, _ROOM * (longest or 1.0)]), axis=axis, title=None),
        color=alt.Color("kept_is:N", scale=scale, title=None, legend=alt.Legend() if suggested else None),
    )
    labels = base.mark_text(align="left", dx=5, color=colour("ink")).encode(x="end:Q", text="kept_shown:N")
    ticks = base.mark_tick(thickness=3, size=18).encode(x="ratio:Q", color=alt.Color("ratio_is:N", scale=scale))
    chart = alt.layer(bars, *([ticks] if suggested else []), labels).properties(description=say("kept.layers.explain"))
    title = say("kept.layers.title")
    columns = ("layer", "weights", "used", "kept", "own", "reused", "nats_kept", "nats_per_weight", "ratio")
    rows = tuple(_cells(layer, say) for layer in [*task.layers, *([task.total] if task.total else [])])
    table = Table(title, "", "", (), tuple(say(f"kept.{name}") for name in columns), rows, frozenset(range(1, 9)))
    explain = say("kept.layers.explain_ratio" if suggested else "kept.layers.explain")
    height = 40 + 24 * len(names)
    return Chart(
        title,
        explain,
        say("kept.fraction.term"),
        (source,),
        f"kept-layers-{place}",
        spec_of(chart, height=height),
        table,
    )


def _nats(task: Retention, place: int, source: Citation, say: Texts) -> Chart:
    alt = altair()
    names = [layer.layer for layer in task.layers]
    title, explain = say("kept.information.title"), say("kept.information.explain")
    most = max(layer.nats or 0.0 for layer in task.layers) or 1.0
    base = alt.Chart(values([_row(layer, say) for layer in task.layers if layer.nats is not None])).encode(
        y=alt.Y("layer:N", sort=names, title=None),
        x=alt.X(
            "nats:Q",
            title=say("kept.nats_kept"),
            scale=alt.Scale(domain=[0, _ROOM * most]),
            axis=alt.Axis(tickCount=4, format=",d" if most > 10 else "g"),
        ),
        tooltip=[
            alt.Tooltip("layer:N", title=say("kept.layer")),
            alt.Tooltip("nats_shown:N", title=say("kept.nats_kept")),
            alt.Tooltip("each_shown:N", title=say("kept.nats_per_weight")),
        ],
    )
    text = alt.Text("each_shown:N")
    chart = alt.layer(
        base.mark_bar(color=colour("c6")),
        base.mark_text(align="left", dx=5, color=colour("ink")).encode(text=text),
    ).properties(description=explain)
    rows = tuple((layer.layer, say.number(layer.nats), say.number(layer.nats_per_weight, 3)) for layer in task.layers)
    columns = (say("kept.layer"), say("kept.nats_kept"), say("kept.nats_per_weight"))
    table = Table(title, "", "", (), columns, rows, frozenset((1, 2)))
    spec = spec_of(chart, height=40 + 24 * len(names))
    return Chart(title, explain, say("kept.nats.term"), (source,), f"kept-nats-{place}", spec, table)


def _row(layer: Kept, say: Texts) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "kept": layer.kept,
        "kept_shown": say.percent(layer.kept),
        "end": _end(layer),
        "kept_is": say("kept.kept"),
        "ratio": layer.ratio,
        "ratio_shown": say.percent(layer.ratio),
        "ratio_is": say("kept.ratio"),
        "nats": layer.nats,
        "nats_shown": say.number(layer.nats),
        "each_shown": say.number(layer.nats_per_weight, 3),
    }


def _end(layer: Kept) -> float:
    """Of what is drawn of it."""
    return max(layer.kept, layer.ratio or 0.0)


def _cells(layer: Kept, say: Texts) -> tuple[str | None, ...]:
    return (
        layer.layer or say("kept.together"),
        say.number(layer.weights),
        say.number(layer.used),
        say.percent(layer.kept),
        say.number(layer.claimed),
        say.number(layer.reused),
        say.number(layer.nats),
        say.number(layer.nats_per_weight, 3),
        say.percent(layer.ratio),
    )
