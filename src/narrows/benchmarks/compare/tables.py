"""A comparison as rows of text, and as compare.md.

Knows only the figures.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from narrows.benchmarks.compare.summary import Comparison, Figure, Row

PICTURES = {
    "accuracy-density.svg": "accuracy against density",
    "capacity.svg": "used capacity against tasks",
    "accuracy-per-task.svg": "accuracy per task",
    "time-to-accuracy.svg": "time to accuracy",
}
"""File names of the pictures, with what they show."""

HEADINGS = (
    "method", "epochs", "seeds", "lr", "ACC (%)", "BWT", "FWT indep.", "FWT GEM", "density (%)", "used (%)",
    "KiB a task", "of dense (%)", "seconds", "step ratio",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """A row's text under each of `HEADINGS`; accuracies and differences in percent and percentage points."""
    figure = row.figures
    size, dense = figure["bytes_per_task"].mean, figure["dense_bytes"].mean
    return [
        row.label,
        str(row.epochs),
        str(len(row.seeds)) if len(row.seeds) == row.asked else f"{len(row.seeds)} of {row.asked}",
        tuned(row),
        with_error(figure["ACC"]),
        points(figure["BWT"]),
        points(figure["fwt_independent"]),
        points(figure["fwt_gem"]),
        number(figure["density"].mean, 2, 100),
        number(figure["used"].mean, 1, 100),
        number(size, 1, 1 / 1024),
        number(size / dense if size is not None and dense else None, 1, 100),
        number(figure["seconds"].mean, 1),
        number(figure["step_ratio"].mean, 2),
    ]


def number(value: float | None, digits: int, scale: float = 1) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{scale * value:.{digits}f}"


def with_error(figure: Figure) -> str:
    """Mean ± standard error, in percent."""
    if figure.mean is None:
        return "-"
    error = "" if figure.se is None else f" ± {100 * figure.se:.1f}"
    return f"{100 * figure.mean:.1f}{error}"


def points(figure: Figure) -> str:
    """A difference in signed percentage points; 0 where it is exactly 0 with every seed."""
    if figure.mean is None:
        return "-"
    if all(value == 0 for value in figure.values):
        return "0"
    return f"{100 * figure.mean:+.1f}"


def tuned(row: Row) -> str:
    """The learning rate, and what else was tuned."""
    others = [f"{name}={value:g}" for name, value in row.values.items() if name != "lr"]
    rate = row.values.get("lr", row.lr)
    return " ".join(["-" if rate is None else f"{rate:g}", *others])


def markdown(comparison: Comparison) -> str:
    """The whole of compare.md."""
    parts = [f"# {comparison.grid['stream']}: a comparison", _protocol(comparison.grid)]
    if comparison.command:
        parts.append("    " + shlex.join(comparison.command))
    if comparison.left:
        parts.append(f"**Not finished: {comparison.left} jobs are left.**")
    parts.append(_table(HEADINGS, [cells(row) for row in comparison.rows]))
    parts.append(_LEGEND)
    parts += [f"Note: {note}" for note in comparison.notes]
    if comparison.failures:
        failed = [f"* {failure['job']}: {_one_line(failure['reason'])}" for failure in comparison.failures]
        parts += ["## Failed", "\n".join(failed)]
    if any(row.tried for row in comparison.rows):
        parts += ["## Tuning", _TUNING.format(**comparison.grid), _table(_TUNING_HEADINGS, _trials(comparison.rows))]
    parts += _machines(comparison)
    if not comparison.left and any(row.seeds for row in comparison.rows):
        parts.append("\n".join(f"![{what}]({name})" for name, what in PICTURES.items()))
    return "\n\n".join(parts) + "\n"


_LEGEND = (
    "± is the standard error over the seeds. BWT and FWT are in percentage points; FWT indep. is against `independent` "
    "with the same seed and epochs. Density and used are percent of the shared weights; used counts the values that "
    "all tasks keep, refined ones each time, and a network of its own as 100. Bytes a task are measured on disk. "
    "Seconds are of training; step ratio is the time of an optimizer step over that of `independent`."
)
_TUNING = (
    "Each method got the same {tune} trials on the first {tune_tasks} tasks with seed 0, measured on {holdout:.0%} of "
    "the training data, held out; test data were not touched. The first trial has the method's defaults, the others "
    "are a quasi-random sequence, the same for all that tune the same values. The best mean accuracy was picked "
    "(**bold**)."
)
_TUNING_HEADINGS = ("method", "epochs", "trial", "values", "ACC held out (%)")


def _protocol(grid: Mapping[str, Any]) -> str:
    parts = [f"{grid['tasks']} tasks", f"network `{grid['network']}`", f"batch {grid['batch_size']}"]
    parts += [f"{name.replace('_', ' ')} {grid[name]}" for name in ("classes", "image_size") if grid[name] is not None]
    tuning = f"{grid['tune']} trials of tuning each" if grid["tune"] else "nothing tuned: the methods' own defaults"
    return ", ".join([*parts, "Adam, cosine to 0 over each task", tuning]) + "."


def _trials(rows: Sequence[Row]) -> list[list[str]]:
    lines = []
    for row in rows:
        picked = False
        for number_, trial in enumerate(row.tried):
            values = " ".join(f"{name}={value:g}" for name, value in trial["values"].items())
            found = number(trial["accuracy"], 2, 100)
            if trial["reason"]:
                found = f"failed: {_one_line(trial['reason'])}"
            if row.values and trial["values"] == row.values and not picked:
                values, found, picked = f"**{values}**", f"**{found}**", True
            lines.append([row.label, str(row.epochs), str(number_), values, found])
    return lines


def _machines(comparison: Comparison) -> list[str]:
    """Where the runs were done: one line for each kind of place."""
    keys = ("narrows", "torch", "python", "system", "device", "threads")
    places: dict[tuple[Any, ...], int] = {}
    for run in comparison.runs:
        place = (run["worker"].partition(":")[0], *(run["environment"].get(key) for key in keys))
        places[place] = places.get(place, 0) + 1
    if not places:
        return []
    lines = [
        f"* {count} runs on {host}: narrows {narrows}, torch {torch}, Python {python}, {system}, {device}, "
        f"{threads} thread{'s' if threads != 1 else ''} a run"
        for (host, narrows, torch, python, system, device, threads), count in places.items()
    ]
    return ["## Machines", "\n".join(lines)]


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())
