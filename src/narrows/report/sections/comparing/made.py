"""Of a comparison: under which rules it was made, on which machines, what failed and why, and by which command."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import Any, Final

from narrows.report.block_makers import section, table
from narrows.report.blocks import Block, Citation, Notice, Section, Table
from narrows.report.facts import Facts
from narrows.report.sections.comparing.variants import Variants
from narrows.report.texts import Texts

_MOST_FAILURES = 100
_OPTIONS: Final = (
    "stream", "tasks", "classes", "image_size", "network", "batch_size", "device", "tune", "tune_tasks", "holdout",
)  # fmt: skip
_PLACE: Final = ("narrows", "torch", "python", "system", "device", "threads")
_NOTES: Final = (
    ("made.note.dense", re.compile(r"`independent` \(one dense network per task\) was added")),
    ("made.note.machines", re.compile(r"Runs were done on .*not comparable")),
    (
        "made.note.options",
        re.compile(r"The runs of one row had different options \((?P<names>.*)\): narrows' defaults"),
    ),
)
"""What `narrows.benchmarks.compare` notes, to say it in the reader's language."""


def made(facts: Facts, say: Texts) -> Section | None:
    """What a reader must know before they trust the figures, and how to get them again."""
    found = Variants.of(facts)
    if found is None:
        return None
    blocks: list[Block] = [_note(note, say) for note in found.comparison.notes]
    blocks += [*_failures(found, say), _rules(found, say), *_machines(found, say)]
    if found.comparison.command:
        blocks.append(Notice(say("made.command"), "plain", shlex.join(found.comparison.command)))
    return section(say, "made", blocks)


def _note(note: str, say: Texts) -> Notice:
    for key, pattern in _NOTES:
        if match := pattern.match(note):
            return Notice(say(key, **match.groupdict()), "plain" if key == "made.note.dense" else "warn")
    return Notice(note, "warn")


def _failures(found: Variants, say: Texts) -> list[Block]:
    failures = found.comparison.failures
    if not failures:
        return []
    rows = ((failure["job"], " ".join(failure["reason"].split())) for failure in failures[:_MOST_FAILURES])
    columns, source = say.each("made", "job", "reason"), Citation(found.file, "failures")
    return [table(say, "made.failed", columns, rows, source, text=(0, 1), count=len(failures))]


def _rules(found: Variants, say: Texts) -> Table:
    """The options that make the grid what it is."""
    grid = found.comparison.grid
    shown = [
        name for name in (*_OPTIONS, *(name for name in grid if name not in _OPTIONS)) if grid.get(name) is not None
    ]
    rows = ((name, _plain(grid[name])) for name in shown)
    columns = say.each("made", "option", "value")
    return table(say, "made.rules", columns, rows, Citation(found.file, "grid"), text=(0, 1))


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _machines(found: Variants, say: Texts) -> list[Block]:
    """A row for each kind of place in which runs were done."""
    places: Counter[tuple[str, ...]] = Counter()
    for run in found.comparison.runs:
        told = (run["environment"].get(key) for key in _PLACE)
        places[(run["worker"].partition(":")[0], *("-" if value is None else str(value) for value in told))] += 1
    if not places:
        return []
    columns = say.each("made", "host", "runs", *(f"place.{key}" for key in _PLACE))
    rows = ((place[0], say.number(count), *place[1:]) for place, count in places.items())
    source = Citation(found.file, "runs[i].worker, runs[i].environment")
    return [table(say, "made.machines", columns, rows, source, text=(0, 2, 3, 4, 5, 6))]
