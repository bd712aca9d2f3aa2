"""The pictures of a comparison, as SVG: accuracy against density, capacity, accuracy per task, time to accuracy.

A method has the same colour and marker in all of them; the colours are those of Okabe and Ito (2008), told apart
also without seeing red or green. Knows only the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from narrows.benchmarks.compare import Comparison, Figure, Row
from narrows.errors import ConfigError
from narrows.store import outside

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_LINES = ("-", "--", "-.", ":")
_LETTERS = 84  # in a line of the legend
_MANY_TASKS = 20
"""Above it tasks are numbered on the axis and not named."""


@dataclass(frozen=True)
class _Look:
    """How a variant is drawn."""

    colour: str
    marker: str
    line: str


Looks = dict[str, _Look]


def draw_comparison(comparison: Comparison, folder: Path | str) -> list[Path]:
    """Writes the pictures that the figures are enough for into `folder`, and says which.

    The first three show the longest training only; time to accuracy has a point for each length.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise ConfigError('Pictures need matplotlib: pip install "narrows[bench]".') from error

    folder = Path(folder)
    rows = [row for row in comparison.rows if row.seeds]
    if not rows:
        return []
    labels = list(dict.fromkeys(row.label for row in rows))
    looks = {
        label: _Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _LINES[i // len(_COLOURS) % len(_LINES)])
        for i, label in enumerate(labels)
    }
    longest = [max((row for row in rows if row.label == label), key=lambda row: row.epochs) for label in labels]
    stream = comparison.grid["stream"]
    only = ", longest training" if len({row.epochs for row in rows}) > 1 else ""
    draw: dict[str, tuple[Callable[..., None], Sequence[Row], str]] = {
        "accuracy-density.svg": (_density, longest, f"accuracy against density{only}"),
        "capacity.svg": (_capacity, longest, f"used capacity against tasks{only}"),
        "accuracy-per-task.svg": (_per_task, longest, f"accuracy per task, after the last{only}"),
        "time-to-accuracy.svg": (_time, rows, "time to accuracy"),
    }
    written = []
    for name, (picture, shown, title) in draw.items():
        with matplotlib.rc_context({"svg.hashsalt": "narrows", "svg.fonttype": "none", "font.size": 9}):
            canvas = Canvas(layout="constrained")
            axes = canvas.add_subplot()
            axes.grid(color="0.9", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            picture(axes, shown, looks)
            axes.set_title(f"{stream}: {title}", loc="left")
            handles, names = _handles(axes)
            columns = max(1, min(4, _LETTERS // (max(map(len, names)) + 6)))
            canvas.set_size_inches(6.4, 3.9 + 0.19 * math.ceil(len(names) / columns))
            canvas.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False)
            drawn = BytesIO()
            canvas.savefig(drawn, format="svg", metadata={"Date": None, "Title": title})
        outside.replace(folder / name, drawn.getvalue())
        written.append(folder / name)
    return written


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, worth) the points that no other beats: none costs as little or less and is worth more.

    >>> pareto([(0.1, 0.9), (0.03, 0.8), (0.2, 0.85), (0.03, 0.7)])
    [(0.03, 0.8), (0.1, 0.9)]
    """
    front: list[tuple[float, float]] = []
    for cost, worth in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or worth > front[-1][1]:
            front.append((cost, worth))
    return front


def _density(axes: Any, rows: Sequence[Row], looks: Looks) -> None:
    known = [row for row in rows if _mean(row, "density")]
    front = pareto([(_mean(row, "density"), _mean(row, "ACC")) for row in known])
    if len(front) > 1:
        axes.step(*zip(*front, strict=True), where="post", color="0.6", linewidth=1, zorder=1, label="Pareto front")
    for row in known:
        _point(axes, looks[row.label], _mean(row, "density"), row.figures["ACC"], row.label)
    _logarithmic(axes)
    axes.set_xlabel("density (% of the shared weights that a task uses)")
    axes.set_ylabel("ACC (%)")


def _capacity(axes: Any, rows: Sequence[Row], looks: Looks) -> None:
    for row in rows:
        least = min(figure.mean or 0.0 for figure in row.used)
        if least >= 1:  # dense methods have nothing to show, and would squeeze the others
            axes.plot([], [], linestyle="none", label=f"{row.label}: 100% or more from the first task")
        else:
            _line(axes, looks[row.label], row.used, row.label)
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("tasks learned")
    axes.set_ylabel("used (% of the shared weights)")


def _per_task(axes: Any, rows: Sequence[Row], looks: Looks) -> None:
    names = max((row.tasks for row in rows), key=len)
    for place, row in enumerate(rows):
        aside = 0.5 * ((place + 0.5) / len(rows) - 0.5)  # so that error bars do not lie on one another
        _line(axes, looks[row.label], row.accuracy, row.label, aside, faint=True)
    if len(names) <= _MANY_TASKS:
        axes.set_xticks(range(1, len(names) + 1), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlabel("task")
    axes.set_ylabel("accuracy (%)")


def _time(axes: Any, rows: Sequence[Row], looks: Looks) -> None:
    for label, look in looks.items():
        known = sorted((row for row in rows if row.label == label), key=lambda row: row.epochs)
        places = [(_mean(row, "seconds"), _mean(row, "ACC")) for row in known]
        axes.plot(*zip(*places, strict=True), color=look.colour, linestyle=look.line, linewidth=1)
        for row, place in zip(known, places, strict=True):
            _point(axes, look, place[0], row.figures["ACC"], label if row is known[0] else None)
            if len(known) > 1:
                where = {"xytext": (6, -9), "textcoords": "offset points"}
                axes.annotate(f"{row.epochs} ep", place, fontsize=7, color=look.colour, **where)
    _logarithmic(axes)
    axes.set_xlabel("seconds of training, all tasks")
    axes.set_ylabel("ACC (%)")


def _point(axes: Any, look: _Look, x: float, figure: Figure, label: str | None) -> None:
    """A mean with its standard error."""
    error = None if figure.se is None else 100 * figure.se
    style = {"color": look.colour, "marker": look.marker, "markersize": 7.5}
    axes.errorbar([x], [100 * (figure.mean or 0.0)], yerr=error, linestyle="none", capsize=3, label=label, **style)


def _line(
    axes: Any, look: _Look, figures: Sequence[Figure], label: str, aside: float = 0.0, faint: bool = False
) -> None:
    """Means over tasks 1, 2, ... with their standard errors, joined; a task without a figure is left out."""
    known = [(place + 1 + aside, figure) for place, figure in enumerate(figures) if figure.mean is not None]
    x, y = [x for x, _ in known], [100 * (figure.mean or 0.0) for _, figure in known]
    axes.plot(x, y, color=look.colour, linestyle=look.line, linewidth=1, alpha=0.35 if faint else 1)
    axes.errorbar(
        x,
        y,
        yerr=[100 * (figure.se or 0.0) for _, figure in known],
        color=look.colour,
        marker=look.marker,
        linestyle="none",
        markersize=5.5,
        capsize=2,
        elinewidth=0.8,
        label=label,
    )


def _handles(axes: Any) -> tuple[list[Any], list[str]]:
    """What the legend shows: markers without their error bars, and last what was not drawn or is no method."""
    handles, names = axes.get_legend_handles_labels()
    entries = [
        (handle[0] if isinstance(handle, tuple) else handle, name) for handle, name in zip(handles, names, strict=True)
    ]
    entries.sort(key=lambda entry: not entry[0].get_marker() or entry[0].get_marker() == "None")
    return [handle for handle, _ in entries], [name for _, name in entries]


def _logarithmic(axes: Any) -> None:
    """A logarithmic x axis with plain numbers, enough of them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mean(row: Row, name: str) -> float:
    """A figure's mean; density in percent, accuracy in percent, seconds as they are."""
    mean = row.figures[name].mean or 0.0
    return mean if name == "seconds" else 100 * mean
