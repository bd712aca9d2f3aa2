"""What the sections on a comparison share: which rows are shown, how a variant looks, and where its figures stand.

A variant has the same number, colour, marker and dashes in every chart, also while the grid is not complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from narrows.analysis.subject import COMPARISON_FILE
from narrows.benchmarks.compare.spec import DENSE
from narrows.benchmarks.compare.summary import Comparison, Figure, Row
from narrows.report.blocks import Citation
from narrows.report.charts import CATEGORIES, altair, category, kinds, short_names
from narrows.report.facts import Facts
from narrows.report.texts import Texts

_SHAPES: Final = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left",
)  # fmt: skip
_DASHES: Final = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3))
_LETTERS: Final = 34  # of a label, in a legend


@dataclass(frozen=True)
class Look:
    """How a variant is drawn.

    Attributes:
        label: the variant.
        tag: its number, from 1, as the methods were asked for.
        name: number and label, cut where it is long.
    """

    label: str
    tag: str
    name: str
    colour: str
    shape: str
    dash: tuple[int, ...]


@dataclass(frozen=True)
class Variants:
    """The rows of a comparison, and how they look."""

    comparison: Comparison
    file: str

    @classmethod
    def of(cls, facts: Facts) -> Variants | None:
        """None before the first compare.json."""
        if facts.subject.comparison is None:
            return None
        return cls(facts.subject.comparison, facts.path.name if facts.path.is_file() else COMPARISON_FILE)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """By label."""
        labels = list(dict.fromkeys(row.label for row in self.comparison.rows))
        return {
            label: Look(
                label,
                str(at + 1),
                f"{at + 1} {short}",
                category(at),
                _SHAPES[(at + at // CATEGORIES) % len(_SHAPES)],
                _DASHES[at // CATEGORIES % len(_DASHES)],
            )
            for at, (label, short) in enumerate(zip(labels, short_names(labels, _LETTERS), strict=True))
        }

    @cached_property
    def done(self) -> list[Row]:
        """Rows that have a run."""
        return [row for row in self.comparison.rows if row.seeds]

    @cached_property
    def longest(self) -> list[Row]:
        """Of each variant the row of the longest training that has a run."""
        found: dict[str, Row] = {}
        for row in self.done:
            if row.label not in found or row.epochs > found[row.label].epochs:
                found[row.label] = row
        return list(found.values())

    @property
    def lengths(self) -> list[int]:
        """Of training, in epochs, that have a run."""
        return sorted({row.epochs for row in self.done})

    def only_longest(self, say: Texts) -> list[str]:
        """A sentence for what shows `longest`, where that is not all."""
        return [say("front.longest")] if len(self.lengths) > 1 else []

    @property
    def dense(self) -> Row | None:
        """The dense reference, trained longest."""
        return next((row for row in self.longest if row.method == DENSE), None)

    def source(self, *figures: str) -> tuple[Citation, ...]:
        """Where figures of the rows stand."""
        return (Citation(self.file, ", ".join(f"rows[i].{figure}" for figure in figures)),)

    def place(self, row: Row, figure: str) -> tuple[Citation, ...]:
        """Where a figure of one row stands."""
        return (Citation(self.file, f"rows[{self.comparison.rows.index(row)}].{figure}"),)

    def scales(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Colour and marker of these rows' variants, and their legend; by the field `name`."""
        alt = altair()
        looks = [self.looks[label] for label in dict.fromkeys(row.label for row in rows)]
        names = [look.name for look in looks]
        columns = alt.ExprRef("width < 480 ? 1 : width < 760 ? 2 : 3")
        legend = alt.Legend(columns=columns, labelLimit=260, symbolStrokeWidth=2)
        shapes = {"domain": names, "range": [look.shape for look in looks]}
        return {
            "color": kinds("name", names, [look.colour for look in looks], legend=legend),
            "shape": alt.Shape("name:N", title=None, legend=legend, scale=shapes),
        }


def mean_of(row: Row, name: str) -> float | None:
    """A figure's mean."""
    return row.figures[name].mean


def with_error(figure: Figure, digits: int = 1) -> str | None:
    """A fraction as a percentage, with the standard error over the seeds; None where it was not measured."""
    if figure.mean is None:
        return None
    error = "" if figure.se is None else f" ± {100 * figure.se:.{digits}f}"
    return f"{100 * figure.mean:.{digits}f}{error}%"


def times_of(ratio: float | None, say: Texts) -> str | None:
    """How many times as much."""
    return None if ratio is None else f"{say.number(ratio, 3)}\u00d7"


def edges(figure: Figure) -> dict[str, float]:
    """Mean less and plus the standard error; both the mean for one seed."""
    mean, error = figure.mean or 0.0, figure.se or 0.0
    return {"low": mean - error, "high": mean + error}


def spread(values: Sequence[float], least: float = 0.01) -> tuple[float, float]:
    """An axis that holds the values with some room, at least so wide."""
    low, high = min(values), max(values)
    room = max(0.06 * (high - low), (least - (high - low)) / 2, 0.0)
    return low - room, high + room
