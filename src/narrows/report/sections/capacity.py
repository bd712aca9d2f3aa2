"""Capacity: what is used as tasks came, in total and per layer, whose it is, and how many more tasks fit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

from narrows.analysis.capacity import Capacity, LayerCapacity, together
from narrows.report.block_makers import chart, section, warning
from narrows.report.blocks import Block, Chart, Citation, Notice, Section
from narrows.report.charts import altair, colour, kinds, mixed, short_names, tips, values
from narrows.report.facts import Facts
from narrows.report.heat import heat_map
from narrows.report.sections.growth import growth
from narrows.report.sections.outlook import outlook
from narrows.report.texts import Texts

MOST_LAYERS: Final = 40
"""Smaller layers are drawn as one."""
_MOST_CELLS: Final = 2000
_USERS: Final = 5
"""Weights kept by so many tasks, or more, have one colour."""


def capacity(facts: Facts, say: Texts) -> Section:
    """What is known of the store's weights; from a result alone the total only."""
    found = facts.capacity
    blocks: list[Block] = [*growth(facts, say)]
    if found is not None and found.growth:
        blocks += outlook(facts, say)
    if found is not None and found.tasks:
        groups = _largest(found.layers, say)
        source = Citation(f"{facts.store_folder}tasks/*/mask.bin")
        blocks += [_owners(found, groups, say, source), *_filling(found, groups, say, source)]
        if len(found.layers) > MOST_LAYERS:
            blocks.append(Notice(say("capacity.cut", shown=MOST_LAYERS, layers=len(found.layers))))
    elif facts.names:
        blocks.append(warning(say, "capacity.no_layers" if found is None else "capacity.none_share"))
    else:
        blocks.append(warning(say, "capacity.none"))
    return section(say, "capacity", blocks)


Group = tuple[str, tuple[int, ...]]
"""(name, places of its layers in `Capacity.layers`)."""


def _largest(layers: Sequence[LayerCapacity], say: Texts) -> list[Group]:
    """Each layer by itself, in the store's order; where there are too many, the smallest of them together, last."""
    order = sorted(range(len(layers)), key=lambda place: -layers[place].weights)
    alone, rest = sorted(order[:MOST_LAYERS]), sorted(order[MOST_LAYERS:])
    groups: list[Group] = [(layers[place].name, (place,)) for place in alone]
    return [*groups, (say("capacity.smaller", layers=len(rest)), tuple(rest))] if rest else groups


def _owners(found: Capacity, groups: Sequence[Group], say: Texts, source: Citation) -> Chart:
    """A bar for each layer: kept by one task, by two, ..., free."""
    bars = [(say("capacity.all"), found.total)]
    bars += [(name, together([found.layers[place] for place in places])) for name, places in groups]
    most, longest = min(len(found.total.kept_by), _USERS), len(found.total.kept_by)
    by = [*(_users(count, most, longest, say) for count in range(1, most + 1)), say("capacity.free")]
    counts = [[*_by_users(bar, most), bar.free] for _, bar in bars]
    rows = (
        (name, say.number(bar.weights), *(_counted(count, bar.weights, say) for count in row))
        for (name, bar), row in zip(bars, counts, strict=True)
    )
    drawn = _bars([(name, bar.weights) for name, bar in bars], by, counts, say)
    columns = (*say.each("capacity", "layer", "weights"), *by)
    return chart(say, "capacity.owners", "capacity-owners", drawn, max(70, 24 * len(bars)), columns, rows, source)


def _bars(bars: Sequence[tuple[str, int]], by: Sequence[str], counts: Sequence[Sequence[int]], say: Texts) -> Any:
    alt = altair()
    cells = [
        {
            "layer": label,
            "name": name,
            "kind": kind,
            "order": order,
            "value": count / (weights or 1),
            "shown": _counted(count, weights, say),
        }
        for (name, weights), label, found in zip(bars, short_names([name for name, _ in bars]), counts, strict=True)
        for order, (kind, count) in enumerate(zip(by, found, strict=True))
        if count
    ]
    shared = len(by) - 2
    greens = [mixed("reused", 0.4 + 0.6 * at / max(shared - 1, 1)) for at in range(shared)]
    axis, layer, weights_ = say.each("capacity", "owners.axis", "layer", "weights")
    return (
        alt.Chart(values(cells))
        .mark_bar()
        .encode(
            y=alt.Y("layer:N", sort=None, title=None),
            x=alt.X("value:Q", title=axis, axis={"format": "%"}, scale={"domain": [0, 1]}),
            order=alt.Order("order:Q"),
            color=kinds("kind", by, [*[colour("kept")][: len(by) - 1], *greens, colour("free")]),
            tooltip=tips(name=layer, kind=axis, shown=weights_),
        )
    )


def _by_users(layer: LayerCapacity, most: int) -> list[int]:
    """Weights kept by 1, 2, ... tasks; the last entry is of `most` or more."""
    counts = [*layer.kept_by, *[0] * most]
    return [*counts[: most - 1], sum(counts[most - 1 :])] if most else []


def _users(count: int, most: int, longest: int, say: Texts) -> str:
    if count == 1:
        return say("capacity.one_task")
    return say("capacity.more_tasks" if count == most < longest else "capacity.tasks", count=count)


def _counted(count: int, weights: int, say: Texts) -> str:
    return f"{say.number(count)} ({say.percent(count / weights if weights else 0.0)})"


def _filling(found: Capacity, groups: Sequence[Group], say: Texts, source: Citation) -> list[Block]:
    """Layers by tasks. Of many tasks every second, third, ... is shown, counted back from the last."""
    if len(found.growth) < 2:
        return []
    every = -(-len(found.growth) // min(50, max(2, _MOST_CELLS // len(groups))))
    steps = found.growth[::-1][::every][::-1]
    taken = list(itertools.accumulate((step.fresh for step in found.growth), _added))[::-1][::every][::-1]
    title, explain, term = say.told("capacity.filling")
    heat = heat_map(
        "capacity-layers",
        title,
        explain,
        [[_taken(counts, found.layers, places) for counts in taken] for _, places in groups],
        rows=(say("capacity.layer"), short_names([name for name, _ in groups])),
        columns=(say("capacity.filling.after"), [step.task for step in steps]),
        value=say("capacity.filling.value"),
        show=say.percent,
        term=term,
        sources=(source,),
    )
    return [heat, Notice(say("capacity.filling.thinned", every=every))] if every > 1 else [heat]


def _added(before: Sequence[int], fresh: Sequence[int]) -> tuple[int, ...]:
    """Counts by layer; none are for a task with a network of its own."""
    return tuple(a + b for a, b in zip(before, fresh, strict=True))


def _taken(counts: Sequence[int], layers: Sequence[LayerCapacity], places: Sequence[int]) -> float:
    return sum(counts[place] for place in places) / (sum(layers[place].weights for place in places) or 1)
