"""Pictures as SVG files, of the page's charts: of a comparison, and the matrix R of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from narrows.analysis.subject import Subject
from narrows.benchmarks.compare import Comparison
from narrows.report.blocks import Chart, Notice, Pictures, Section
from narrows.report.charts import short_names
from narrows.report.drawing import draw, spec_of_pixels
from narrows.report.facts import Facts
from narrows.report.heat import spec_of_heat
from narrows.report.sections.comparing.by_task import by_task
from narrows.report.sections.comparing.front import front
from narrows.report.sections.comparing.grown import grown
from narrows.report.sections.comparing.times import times
from narrows.report.texts import Texts

_OF_COMPARISON: Final[dict[str, Callable[[Facts, Texts], Section | None]]] = {
    "accuracy-density.svg": front,
    "capacity.svg": grown,
    "accuracy-per-task.svg": by_task,
    "time-to-accuracy.svg": times,
}
"""Whose first chart each file shows."""


def draw_comparison(comparison: Comparison, folder: Path | str) -> list[Path]:
    """Writes the pictures that the figures are enough for into `folder`, and says which.

    The first three show the longest training only; time to accuracy has a point for each length.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    folder, say = Path(folder), Texts()
    facts = Facts(Subject("comparison", folder, comparison=comparison))
    stream = comparison.grid["stream"]
    written = []
    for name, make in _OF_COMPARISON.items():
        section = make(facts, say)
        found = () if section is None else section.blocks[:2]
        notes = [block.text for block in found[1:] if isinstance(block, Notice) and make in (front, grown)]
        for block in found[:1]:
            if isinstance(block, Chart | Pictures):
                spec = block.spec if isinstance(block, Chart) else spec_of_pixels(block.images[0])
                draw(spec, folder / name, f"{stream}: {block.title}", (block.explain, *notes))
                written.append(folder / name)
    return written


def draw_accuracy(
    rows: Sequence[Sequence[float | None]], names: Sequence[str], path: Path, *, title: str = "Accuracy"
) -> Path:
    """Draws R[i][j], the accuracy on task j (columns) after learning task i (rows), as a heat map, and gives `path`.

    Only tasks already learned are drawn.

    Args:
        rows: fractions, or None where not measured.
        names: of the tasks.
        path: the SVG file to write.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    count, say = len(rows), Texts()
    shown = short_names(names[:count])
    spec = spec_of_heat(
        [[cell if j <= i else None for j, cell in enumerate(row[:count])] for i, row in enumerate(rows)],
        (say("accuracy.after"), shown),
        (say("accuracy.on"), shown),
        say("accuracy.accuracy"),
        lambda cell: "" if cell is None else f"{100 * cell:.0f}",
        ".0%",
        say("accuracy.matrix.explain"),
        written=True,
    )
    draw(spec, path, title)
    return path
