"""Of the section on who builds on whom: tasks two by two as a matrix, coarse where there are too many."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Final

from narrows.report.blocks import Chart, Citation, Pictures
from narrows.report.charts import short_names
from narrows.report.heat import Matrix, heat_map
from narrows.report.texts import Texts

MOST_TASKS: Final = 50
"""Of more, blocks of tasks are averaged."""


def pairs(
    key: str, tasks: Sequence[str], matrix: Matrix, show: Callable[[float | None], str], say: Texts, source: Citation
) -> Chart | Pictures:
    """A symmetric matrix: below its diagonal only, as the rest says the same.

    Args:
        key: of the words `builds.KEY`, and of the chart.
    """
    every = coarsened(len(tasks))
    if every == 1:
        names = short_names(tasks)
        below = [[*row[:i], *[None] * (len(tasks) - i)] for i, row in enumerate(matrix)]
        rows, columns, below = names[1:], names[:-1], [row[:-1] for row in below[1:]]
    else:
        blocks = [range(start, min(start + every, len(tasks))) for start in range(0, len(tasks), every)]
        rows = columns = [f"{block[0] + 1}-{block[-1] + 1}" for block in blocks]
        below = [[_mean(matrix, one, other) for other in blocks] for one in blocks]
    title, explain, term = say.told(f"builds.{key}")
    return heat_map(
        f"builds-{key}",
        title,
        explain,
        below,
        rows=(say("builds.task"), rows),
        columns=(say("builds.and_task"), columns),
        value=say(f"builds.{key}.value"),
        show=show,
        axis_format=say(f"builds.{key}.format"),
        term=term,
        sources=(source,),
    )


def coarsened(tasks: int) -> int:
    """How many tasks are one row; 1 where there are few."""
    return -(-tasks // MOST_TASKS)


def _mean(matrix: Matrix, rows: Sequence[int], columns: Sequence[int]) -> float | None:
    """Of the pairs of different tasks below the diagonal; None where there are none."""
    known = [matrix[i][j] for i in rows for j in columns if j < i]
    found = [cell for cell in known if cell is not None]
    return statistics.fmean(found) if found else None
