"""Who builds on whom: what tasks reuse of one another, how much they overlap, and what could be forgotten."""

from __future__ import annotations

import shlex
import statistics
from typing import Final

from narrows.analysis.forgettable import Forgettable
from narrows.analysis.overlap import Overlap
from narrows.report.block_makers import chart, section, stat, table, warning
from narrows.report.blocks import MANY_ROWS, Block, Chart, Citation, Notice, Section, Selector, Stats, Table
from narrows.report.charts import along, altair, colour, kinds, tips, values
from narrows.report.facts import Facts
from narrows.report.sections.arcs import arcs, strongest
from narrows.report.sections.kept import measurement_note
from narrows.report.sections.pairs import coarsened, pairs
from narrows.report.texts import Texts

_MOST_ARCS: Final = 30
"""More tasks are not drawn as a graph."""
_MOST_NAMES: Final = 3
"""A longer table is shown when asked for."""


def builds(facts: Facts, say: Texts) -> Section:
    """What the masks say; without a store, or with one task, a notice."""
    found = facts.overlap
    blocks: list[Block] = []
    if found is None:
        blocks.append(warning(say, "builds.no_store"))
    elif len(found.tasks) < 2:
        blocks.append(warning(say, "builds.too_few" if facts.names else "builds.none", tasks=len(found.tasks)))
    else:
        masks = Citation(f"{facts.store_folder}tasks/*/mask.bin")
        blocks += [_figures(found, say, masks), _parts(found, say, masks), *_graph(found, say, masks)]
        blocks += [*_matrices(found, say, masks), *_similarity(facts, say)]
    if found is not None and found.left_out:
        blocks.append(Notice(say("builds.left_out", count=len(found.left_out), names=_some(found.left_out, say))))
    if facts.forgettable:
        blocks.append(_forgetting(facts, say))
    return section(say, "builds", blocks)


def _figures(found: Overlap, say: Texts, masks: Citation) -> Stats:
    reused = _reused(found)
    parts = [reused[name] / kept for name, kept in zip(found.tasks[1:], found.kept[1:], strict=True) if kept]
    lifts = [lift for row, lifts in enumerate(found.lift) for lift in lifts[:row] if lift is not None]
    given = {name: sum(edge.weights for edge in found.reuse if edge.source == name) for name in found.tasks}
    most = max(found.tasks, key=lambda name: given[name])
    heirs = sum(edge.source == most for edge in found.reuse)
    stats = []
    if parts:
        stats.append(stat(say, "builds.reused", say.percent(statistics.fmean(parts)), masks))
    if given[most]:
        stats.append(stat(say, "builds.most", most, masks, heirs=heirs, weights=say.number(given[most])))
    if lifts:
        stats.append(stat(say, "builds.lift", _times(statistics.fmean(lifts), say), masks))
    return Stats(tuple(stats))


def _reused(found: Overlap) -> dict[str, int]:
    """Weights that each task has from earlier ones."""
    counts = dict.fromkeys(found.tasks, 0)
    for edge in found.reuse:
        counts[edge.task] += edge.weights
    return counts


def _parts(found: Overlap, say: Texts, masks: Citation) -> Chart:
    """A bar for each task: the part of its weights that it reuses of earlier tasks, and the part that it claims."""
    alt = altair()
    reused = _reused(found)
    both, axis = say.each("builds.parts", "reused", "claimed"), say("builds.parts.axis")
    place, task, weights, part = say.each("builds", "place", "task", "weights", "part")
    counts = [(reused[name], kept - reused[name]) for name, kept in zip(found.tasks, found.kept, strict=True)]
    across, rows = along(found.tasks, place)
    cells = [
        row | {"kind": kind, "order": order, "value": count / kept, "shown": say.number(count)}
        for row, kept, two in zip(rows, found.kept, counts, strict=True)
        for order, (kind, count) in enumerate(zip(both, two, strict=True))
        if count
    ]
    share = alt.Tooltip("value:Q", title=part, format=".1%")
    drawn = (
        alt.Chart(values(cells))
        .mark_bar()
        .encode(
            x=across,
            y=alt.Y("value:Q", title=axis, axis={"format": "%"}, scale={"domain": [0, 1]}),
            order=alt.Order("order:Q"),
            color=kinds("kind", both, [colour("reused"), colour("kept")]),
            tooltip=[*tips(task=task, kind=axis), share, *tips(shown=weights)],
        )
    )
    body = (
        (str(at), name, *map(say.number, (kept, *two)), say.percent(two[0] / kept if kept else None))
        for at, (name, kept, two) in enumerate(zip(found.tasks, found.kept, counts, strict=True), 1)
    )
    columns = (place, task, weights, *both, part)
    return chart(say, "builds.parts", "builds-parts", drawn, 220, columns, body, masks, text=(1,))


def _graph(found: Overlap, say: Texts, masks: Citation) -> list[Block]:
    """The edges, thickest first: as arcs where there are few tasks, and as a table."""
    if not found.reuse:
        return [Notice(say("builds.nobody"))]
    edges = strongest(found.reuse)
    blocks: list[Block] = [arcs(found.tasks, edges, say, masks, drawn=len(found.tasks) <= _MOST_ARCS)]
    if len(edges) < len(found.reuse):
        blocks.append(Notice(say("builds.graph.cut", shown=len(edges), edges=len(found.reuse))))
    return blocks


def _matrices(found: Overlap, say: Texts, masks: Citation) -> list[Block]:
    """The overlap of each two tasks; beside it against chance."""
    show = {"jaccard": say.percent, "lift": lambda value: _times(value, say)}
    options = [
        (say(f"builds.{key}.choice"), (pairs(key, found.tasks, getattr(found, key), show[key], say, masks),))
        for key in ("jaccard", "lift")
    ]
    blocks: list[Block] = [Selector("builds-overlap", say("builds.overlap"), tuple(options))]
    every = coarsened(len(found.tasks))
    if every > 1:
        blocks.append(Notice(say("builds.coarse", every=every)))
    return blocks


def _similarity(facts: Facts, say: Texts) -> list[Block]:
    """How alike the tasks see the same inputs, where that was measured; else the command that measures it."""
    if facts.measured is None:
        return [Notice(say("builds.cka.not_measured"), "plain", measurement_note.remedy(facts, say))]
    found = facts.measured.similarity
    if found is None:
        return [Notice(say("builds.cka.too_few"))]
    source = Citation(say("builds.cka.source", examples=say.number(found.examples), data=len(found.data)))
    blocks: list[Block] = [pairs("cka", found.tasks, found.cka, lambda value: say.number(value, 3), say, source)]
    if found.sampled:
        blocks.append(Notice(say("builds.cka.sampled", tasks=len(found.tasks), data=len(found.data))))
    return blocks


def _times(value: float | None, say: Texts) -> str:
    return say.number(value) if value is None else f"{say.number(value, 3)}\u00d7"


def _forgetting(facts: Facts, say: Texts) -> Table:
    """What would be free again if a task were forgotten, and who needs it."""
    assert facts.reader is not None  # there are tasks to forget
    store = shlex.quote(str(facts.reader.path))
    rows = [
        (
            one.task,
            _some(tuple(name for name, _ in one.kept_for), say) if one.kept_for else say("builds.forget.nobody"),
            say.number(one.freed),
            say.number(one.values),
            say.bytes(one.bytes),
            _command(store, one),
        )
        for one in facts.forgettable
    ]
    columns = say.each("builds.forget", "task", "kept_for", "freed", "values", "bytes", "command")
    files = (Citation(f"{facts.store_folder}tasks/*/{file}") for file in ("mask.bin", "task.json"))
    return table(say, "builds.forget", columns, rows, *files, text=(0, 1, 5), folded=len(rows) > MANY_ROWS)


def _command(store: str, one: Forgettable) -> str:
    name = shlex.quote(one.task)
    told = f"--dry-run -- {name}" if name.startswith("-") else f"{name} --dry-run"
    return f"narrows forget {store} {told}"


def _some(names: tuple[str, ...], say: Texts) -> str:
    """The first of the names, and how many more there are."""
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else say("builds.and_more", names=shown, more=len(names) - _MOST_NAMES)
