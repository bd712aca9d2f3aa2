"""What is kept and why: for all tasks, then for the one that is picked, down to single weights and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from narrows.errors import DamagedStoreError
from narrows.report.block_makers import section, warning
from narrows.report.blocks import Block, Notice, Section, Selector
from narrows.report.facts import Facts
from narrows.report.pixels import PixelBudget
from narrows.report.sections.kept import counter_check, layers, leaning, measurement_note, overview
from narrows.report.sections.kept.weights import WeightPictures, draw_weights
from narrows.report.texts import Texts

WEIGHTS_BYTES: Final = 1_000_000
FILTERS_BYTES: Final = 200_000
INPUTS_BYTES: Final = 130_000
"""What all pictures of a kind may take, as PNG; a page has a third more of them, in base64."""


def kept(facts: Facts, say: Texts) -> Section:
    """From the records, the masks, the network, and examples where it was measured on some."""
    blocks: list[Block]
    if facts.reader is None:
        blocks = [warning(say, "kept.no_store")]
    elif not facts.retention:
        blocks = [warning(say, "kept.none")]
    else:
        blocks = [
            *overview.overview(facts, say),
            *measurement_note.how(facts, say),
            *counter_check.all_tasks(facts, say),
        ]
        try:
            drawn = draw_weights(facts.reader, facts.pictured, WEIGHTS_BYTES)
        except DamagedStoreError as error:  # a mask: what the records say is shown nevertheless
            drawn = WeightPictures({}, 0)
            blocks.append(Notice(say("page.failed", error=error), "bad"))
        blocks += [*overview.left_out(facts, drawn, say), _tasks(facts, drawn, say)]
    return section(say, "kept", blocks)


def _tasks(facts: Facts, drawn: WeightPictures, say: Texts) -> Selector:
    filters = PixelBudget(FILTERS_BYTES, len(facts.pictured))
    maps = PixelBudget(INPUTS_BYTES, len(facts.pictured))
    insides = facts.insides if isinstance(facts.insides, Mapping) else {}
    options = []
    for place, task in enumerate(facts.retention):
        blocks = layers.layers(task, place, facts, say)
        blocks += drawn.blocks(task.task, facts, say)
        if task.task in facts.pictured:
            measured = None if facts.measured is None else facts.measured.task(task.task)
            inside = insides.get(task.task)
            blocks += leaning.filters(inside, facts, filters, say)
            blocks += leaning.leaning(place, inside, measured, maps, facts, say)
            blocks += counter_check.one_task(place, measured, say)
        options.append((task.task, tuple(blocks)))
    return Selector("kept-task", say("kept.task"), tuple(options))
