"""Of the section on what is kept: first-layer filters, and the inputs and units that a task leans on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from narrows.analysis.attribution import Leaning, UnitLeaning
from narrows.analysis.filters import Filters
from narrows.analysis.insides import Inside
from narrows.analysis.measurements import TaskMeasured
from narrows.analysis.picture import Picture
from narrows.report.block_makers import chart
from narrows.report.blocks import Block, Chart, Citation, Image, Notice, Pictures
from narrows.report.charts import altair, colour, kinds, tips, values
from narrows.report.facts import Facts
from narrows.report.heat import colour_of
from narrows.report.pixels import Array, Drawn, PixelBudget, colour_png, fitted, scale_png, signed_png, tiled, zoom
from narrows.report.sections.kept.layers import lettered_bars
from narrows.report.texts import Texts

MOST_INPUTS: Final = 12
MOST_COLUMNS: Final = 128
_SHADES: Final = 64
_ORANGE, _WHITE, _BLUE = "#d55e00", "#f7f7f7", "#0072b2"


def filters(inside: Inside | None, facts: Facts, budget: PixelBudget, say: Texts) -> list[Block]:
    """What the first layer looks for; a sentence where that makes no picture."""
    found = None if inside is None else inside.filters
    if found is None:
        budget.spend(0)
        return [] if inside is None else [Notice(say("kept.no_filters"))]
    drawn, shown = _filters(found, budget)
    title, explain, term = say.told("kept.filters", say(f"kept.filters.explain_{found.kind}"))
    told = say("kept.filters.caption", layer=found.layer, shown=shown, count=found.count, empty=found.empty)
    source = Citation(f"{facts.store_folder}tasks/*/claimed.safetensors", found.layer)
    largest = found.weights.high
    colours = found.kind == "images" and found.weights.shape[-1] == 3
    legend = (
        () if colours else ((_ORANGE, say.number(-largest, 2)), (_WHITE, "0"), (_BLUE, f"+{say.number(largest, 2)}"))
    )
    alt = say("kept.filters.alt", layer=found.layer, task=found.task)
    times = zoom(drawn.height, drawn.width, widest=560, highest=420, largest=10)
    image = Image(drawn.png, alt, drawn.width * times, drawn.height * times, told)
    return [Pictures(title, explain, term, (source,), (image,), legend)]


def leaning(
    place: int,
    inside: Inside | None,
    measured: TaskMeasured | None,
    budget: PixelBudget,
    facts: Facts,
    say: Texts,
) -> list[Block]:
    """Inputs and units: what was measured on examples, and units that nothing goes through, from the mask alone."""
    blocks: list[Block] = []
    if measured is not None:
        blocks += _inputs(place, measured.leaning, budget, say)
    else:
        budget.spend(0)
    if inside is not None:
        blocks += _units(place, inside, None if measured is None else measured.leaning, facts, say)
    return blocks


def _filters(found: Filters, budget: PixelBudget) -> tuple[Drawn, int]:
    """As many of the heaviest filters as there are bytes for, and how many those are."""
    weights = found.weights.values / (found.weights.high or 1.0)
    share, shown = budget.share(), len(weights)
    drawn = _drawn(weights, found.kind)
    while len(drawn.png) > share and shown > 1:
        shown = max(1, min(shown - 1, shown * share // len(drawn.png)))
        drawn = _drawn(weights[:shown], found.kind)
    budget.spend(len(drawn.png))
    return drawn, shown


def _drawn(weights: Array, kind: str) -> Drawn:
    if kind == "columns":
        return signed_png(weights[:, :MOST_COLUMNS])
    grid = tiled(weights, 0.0)
    return colour_png(grid) if weights.shape[-1] == 3 else signed_png(grid[..., 0])


def _inputs(place: int, found: Leaning, budget: PixelBudget, say: Texts) -> list[Block]:
    explain = say("kept.inputs.explain", examples=say.number(found.examples))
    blocks: list[Block] = []
    if found.pixels is not None:
        blocks.append(_map(found.pixels, explain, budget, say))
    else:
        budget.spend(0)
    if found.inputs and (found.pixels is None or len(found.inputs) > 1):
        blocks.append(_bars(place, found, explain, say))
    return blocks


def _map(pixels: Picture, explain: str, budget: PixelBudget, say: Texts) -> Pictures:
    values_ = pixels.values / (pixels.high or 1.0)
    colours = [colour_of(at / (_SHADES - 1)) for at in range(_SHADES)]

    def draw(height: int, width: int) -> Drawn:
        rows = np.arange(height) * values_.shape[0] // height
        columns = np.arange(width) * values_.shape[1] // width
        return scale_png(values_[rows][:, columns], colours)

    drawn = fitted(draw, budget.share(), *values_.shape)
    budget.spend(len(drawn.png))
    times = zoom(drawn.height, drawn.width, widest=280, highest=280, largest=20)
    legend = tuple((f"rgb{colour_of(at)}", say.number(at * pixels.high, 2)) for at in (0.0, 0.5, 1.0))
    title = say("kept.inputs.map")
    image = Image(drawn.png, explain, drawn.width * times, drawn.height * times)
    return Pictures(title, explain, say("kept.inputs.term"), (source_of(say),), (image,), legend)


def _bars(place: int, found: Leaning, explain: str, say: Texts) -> Chart:
    """The inputs with the largest share, by name, and all others together."""
    total = math.fsum(found.inputs)
    names = found.names or tuple(say("kept.input", number=number + 1) for number in range(len(found.inputs)))
    order = sorted(range(len(names)), key=lambda number: -found.inputs[number])[:MOST_INPUTS]
    rows = [(names[number], found.inputs[number]) for number in order]
    if len(names) > len(rows):
        rest = total - math.fsum(value for _, value in rows)
        rows.append((say("kept.other_inputs", count=say.number(len(names) - len(rows))), max(0.0, rest)))
    data = [
        {"input": name, "share": value / total if total else 0.0, "shown": say.percent(value / total if total else 0.0)}
        for name, value in rows
    ]
    of, _, share = columns = say.each("kept", "inputs.of", "inputs.value", "share")
    most = max(value / total if total else 0.0 for _, value in rows) or 1.0
    axis = ("share", share, most, {"format": ".1~%", "tickCount": 4})
    drawn = lettered_bars(data, ("input", None), axis, "shown", tips(input=of, shown=share), "c1")
    body = ((name, say.number(value), say.percent(value / total if total else 0.0)) for name, value in rows)
    name, height = f"kept-inputs-{place}", 40 + 24 * len(rows)
    return chart(say, "kept.inputs", name, drawn, height, columns, body, source_of(say), explain=explain)


def _units(place: int, inside: Inside, found: Leaning | None, facts: Facts, say: Texts) -> list[Block]:
    """Of each layer: units that carry half of what it leans on, others in use, silent ones, and dead ones."""
    measured = {} if found is None else {layer.layer: layer for layer in found.layers}
    names, rows, parts = [], [], []
    for layer in inside.connections.layers:
        units, dead = len(layer.kept_in), set(layer.dead)
        leaning_ = measured.get(layer.layer)
        carrying = None if leaning_ is None else half(leaning_)
        silent = None if leaning_ is None else len(set(leaning_.silent) - dead)
        names.append(layer.layer)
        rows.append((layer.layer, *(say.number(count) for count in (units, len(dead), silent, carrying))))
        split = {
            "half": carrying or 0,
            "used": units - len(dead) - (carrying or 0) - (silent or 0),
            "silent": silent or 0,
            "dead": len(dead),
        }
        parts += [
            {"layer": layer.layer, "part": say(f"kept.units.{part}"), "count": max(0, count), "order": order}
            for order, (part, count) in enumerate(split.items())
            if count > 0
        ]
    if not parts:
        return []
    alt = altair()
    domain = say.each("kept.units", "half", "used", "silent", "dead")
    layer_, title, count, share = say.each("kept", "layer", *(f"units.{key}" for key in ("title", "count", "share")))
    length = {"stack": "normalize", "title": share, "axis": {"format": ".0%", "tickCount": 5}}
    drawn = (
        alt.Chart(values(parts))
        .mark_bar()
        .encode(
            y=alt.Y("layer:N", sort=names, title=None),
            x=alt.X("count:Q", **length),
            color=kinds("part", domain, [colour(name) for name in ("kept", "c6", "dropped", "free")]),
            order="order:Q",
            tooltip=[*tips(layer=layer_, part=title), alt.Tooltip("count:Q", title=count)],
        )
    )
    columns = say.each("kept", "layer", "units.count", "units.dead", "units.silent", "units.half")
    sources = [Citation(f"{facts.store_folder}tasks/*/mask.bin"), *([] if found is None else [source_of(say)])]
    explain = say("kept.units.explain" if found is not None else "kept.units.explain_mask")
    name, height = f"kept-units-{place}", 40 + 24 * len(names)
    return [chart(say, "kept.units", name, drawn, height, columns, rows, *sources, explain=explain)]


def half(layer: UnitLeaning) -> int:
    """How many units, the largest first, make half of the layer's sum.

    >>> half(UnitLeaning("a", "a.weight", (1.0, 6.0, 3.0), ()))
    1
    """
    return needed(sorted(layer.units, reverse=True), 0.5)


def needed(ordered: Sequence[float], share: float) -> int:
    """How many of the numbers, from the first, make this share of their sum; 0 where they are all 0."""
    total, reached = math.fsum(ordered), 0.0
    for count, value in enumerate(ordered):
        if reached >= share * total:
            return count
        reached += value
    return len(ordered) if total else 0


def source_of(say: Texts) -> Citation:
    """Where what was measured for the page stands."""
    return Citation(say("kept.measured_now"))
