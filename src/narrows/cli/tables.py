"""Results and stores as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narrows.cli.screen import Screen, say, say_all
from narrows.tasks.account import counts_of

if TYPE_CHECKING:
    from narrows.benchmarks.compare import Comparison
    from narrows.benchmarks.results import Result
    from narrows.store import TaskRecord


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def points(value: float | None) -> str:
    """A difference of fractions in signed percentage points; exactly 0 without a sign."""
    if value is None:
        return "-"
    return "0 (exactly)" if value == 0 else f"{100 * value:+.1f}"


def counted(count: int, what: str) -> str:
    """
    >>> counted(1, "task"), counted(1200, "task")
    ('1 task', '1,200 tasks')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def size(count: float) -> str:
    """Bytes, in units of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def print_result(console: Screen, result: Result) -> None:
    """One row per task, and the summary."""
    table = plain_table()
    table.title = f"{result.stream}, {result.method}, seed {result.seed} (accuracy and weights in %)"
    table.add_column("task", no_wrap=True)
    columns = ("acc\nlearned", "acc\nnow", "\ndensity", "\nclaimed", "\nreused", "used\nso far")
    for heading in (*columns, "KiB on\ndisk", "\nseconds"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for task in result.tasks:
        table.add_row(
            task.name,
            percent(task.accuracy),
            percent(task.accuracy_now),
            *(percent(value, 2) for value in (task.density, task.claimed, task.reused, task.used)),
            f"{task.bytes / 1024:.1f}",
            f"{task.seconds:.1f}",
        )
    console.print(table)
    print_summary(console, result)


def print_summary(console: Screen, result: Result) -> None:
    """The figures of the whole run, a line each for accuracy, transfer, cost."""
    values = result.metrics()
    bytes_per_task, dense = values["bytes_per_task"] or 0.0, values["dense_bytes"] or 1.0
    ratio = f", {values['step_ratio']:.2f} times plain training" if values["step_ratio"] else ""
    lines = [
        f"  BWT {points(values['BWT'])}   "
        f"FWT: {points(values['fwt_independent'])} against independent, {points(values['fwt_gem'])} (GEM)",
        f"density {percent(values['density'], 2)}%   used {percent(values['used'], 2)}% of the shared weights",
        f"{size(bytes_per_task)} a task on disk: {100 * bytes_per_task / dense:.1f}% of the dense float32 model "
        f"({size(dense)})",
        f"training {values['seconds']:.1f} s   a step {1000 * result.step_seconds():.2f} ms{ratio}",
    ]
    if result.reference:
        lines.append(f"one dense network per task: ACC {percent(result.reference['ACC'])}%")
    for place, line in enumerate(lines):
        say(console, line, "" if place else f"ACC {percent(values['ACC'])}%", "bold")


def print_comparison(console: Screen, comparison: Comparison) -> None:
    """A grid in two tables, accuracy and cost, a row per variant and length of training; then what failed."""
    from narrows.benchmarks.compare.tables import HEADINGS, cells

    cost = HEADINGS.index("density (%)")
    several = len({row.epochs for row in comparison.rows}) > 1
    names = [heading for heading in HEADINGS[:2] if several or heading != "epochs"]
    title = f"{comparison.grid['stream']}, {counted(comparison.grid['tasks'], 'task')}"
    for what, headings in (("accuracy", HEADINGS[2:cost]), ("cost", HEADINGS[cost:])):
        table = plain_table()
        table.title = f"{title}: {what}"
        for heading in (*names, *headings):
            first = heading == HEADINGS[0]
            table.add_column(Text(heading.replace(" ", "\n")), justify="left" if first else "right", no_wrap=not first)
        for row in comparison.rows:
            texts = dict(zip(HEADINGS, cells(row), strict=True))
            table.add_row(*(texts[heading] for heading in (*names, *headings)))
        console.print(table)
    for note in comparison.notes:
        say(console, note)
    for failure in comparison.failures:
        say_all(console, f"{failure['job']}: {failure['reason']}", "failed:", "bold red")
    if comparison.failures:
        console.print("The same command tries again what failed.")


def plain_table() -> Table:
    """A table without walls, to fit 80 columns."""
    return Table(box=SIMPLE_HEAD, padding=0, title_justify="left", title_style="bold")


def tasks_table(tasks: Sequence[Mapping[str, Any]]) -> Table:
    """What a store holds, a row per task, of `task_row`."""
    table = plain_table()
    table.add_column("task", no_wrap=True)
    table.add_column("method", no_wrap=True)
    for heading in (
        "valid.\nacc. %",
        "density\n%",
        "claimed\n%",
        "reused\n%",
        "KiB on\ndisk",
        "of\ndense %",
        "\nseconds",
    ):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column(Text("\nparents"), justify="right", no_wrap=True)
    for task in tasks:
        table.add_row(
            task["name"],
            task["method"],
            percent(task["accuracy"]),
            *(percent(task[key], 2) for key in ("density", "claimed", "reused")),
            f"{task['bytes'] / 1024:.1f}",
            percent(task["of_dense"]),
            "-" if task["seconds"] is None else f"{task['seconds']:.1f}",
            str(len(task["parents"])),
        )
    return table


def task_row(record: TaskRecord, on_disk: int, dense: int) -> dict[str, Any]:
    """A task's figures on its validation data (`accuracy`: of a classifier), its shares of the weights (fractions) and
    what it costs, in plain values. DamagedStoreError: its record is not as narrows writes it.
    """
    counts = counts_of(record)
    validation = record.metrics.get("validation")
    accuracy = validation.get("accuracy") if isinstance(validation, dict) else None
    return {
        "name": record.name,
        "method": str(record.method["name"]),
        "validation": validation,
        "accuracy": accuracy if isinstance(accuracy, int | float) else None,
        "density": counts.used / counts.weights if counts.weights else None,
        "claimed": counts.claimed / counts.weights if counts.weights else None,
        "reused": (counts.used - counts.claimed) / counts.weights if counts.weights else None,
        "bytes": on_disk,
        "of_dense": on_disk / dense if dense else None,
        "seconds": record.seconds,
        "parents": list(record.parents),
        "created": record.created,
    }
