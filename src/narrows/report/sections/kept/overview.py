"""Of the section on what is kept: all tasks at once, and what the page leaves out."""

from __future__ import annotations

from collections.abc import Callable

from narrows.analysis.retention import LayerKept
from narrows.report.block_makers import table, warning
from narrows.report.blocks import MANY_ROWS, Block, Citation, Notice, Table
from narrows.report.facts import Facts
from narrows.report.heat import heat_map
from narrows.report.sections.kept.layers import counts
from narrows.report.sections.kept.measurement_note import command
from narrows.report.sections.kept.weights import WeightPictures
from narrows.report.texts import Texts


def overview(facts: Facts, say: Texts) -> list[Block]:
    """A table of the tasks, and what each keeps of each layer in colours."""
    blocks: list[Block] = [_table(facts, say)]
    names = list(dict.fromkeys(layer.layer for task in facts.retention for layer in task.layers))
    if not names:
        return [*blocks, warning(say, "kept.no_layers")]
    blocks.append(_map("fraction", names, lambda layer: layer.density, facts, say))
    if any(layer.nats is not None for task in facts.retention for layer in task.layers):
        blocks.append(_map("nats", names, lambda layer: layer.nats, facts, say))
    else:
        blocks.append(Notice(say("kept.no_nats")))
    return blocks


def left_out(facts: Facts, drawn: WeightPictures, say: Texts) -> list[Block]:
    """What has no picture or a coarse one, and how to see it."""
    told = []
    if len(facts.pictured) < len(facts.retention):
        told.append(say("kept.only", tasks=say("kept.comma").join(facts.pictured)))
    if drawn.layers_left_out:
        told.append(say("kept.layers_left_out", count=say.number(drawn.layers_left_out)))
    if drawn.pooled:
        told.append(say("kept.pooled", count=say.number(drawn.pooled)))
    if not told:
        return []
    if len(facts.pictured) == 1:
        return [Notice(" ".join(told))]
    return [Notice(" ".join([*told, say("kept.finer")]), "plain", command(facts, "--task", facts.retention[0].task))]


def _map(key: str, names: list[str], figure: Callable[[LayerKept], float | None], facts: Facts, say: Texts) -> Block:
    found = [{layer.layer: figure(layer) for layer in task.layers} for task in facts.retention]
    title, explain, term = say.told(f"kept.{key}")
    fraction = key == "fraction"
    return heat_map(
        f"kept-{key}",
        title,
        explain,
        [[task.get(name) for name in names] for task in found],
        rows=(say("kept.task"), [task.task for task in facts.retention]),
        columns=(say("kept.layer"), names),
        value=say(f"kept.{key}.value"),
        show=say.percent if fraction else say.number,
        axis_format=".1%" if fraction else ",.0f",
        term=term,
        sources=(Citation(f"{facts.store_folder}tasks/*/task.json", f"layers.*.{'used' if fraction else key}"),),
    )


def _table(facts: Facts, say: Texts) -> Table:
    columns = say.each(
        "kept", "task", "method", "weights_kept", "kept", "claimed", "reused", "nats_kept", "nats_per_weight"
    )
    rows = [
        (task.task, task.method, *((None,) * 6 if task.total is None else counts(task.total, say)))
        for task in facts.retention
    ]
    source = Citation(f"{facts.store_folder}tasks/*/task.json", "method.name, layers")
    return table(say, "kept.all", columns, rows, source, text=(0, 1), folded=len(rows) > MANY_ROWS)
