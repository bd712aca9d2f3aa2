"""Results and stores as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from narrows.benchmarks.compare import Comparison
from narrows.benchmarks.compare.tables import HEADINGS, cells
from narrows.benchmarks.results import Result
from narrows.store import TaskRecord

_COST = HEADINGS.index("density (%)")


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def points(value: float | None) -> str:
    """A difference of fractions in signed percentage points; exactly 0 without a sign."""
    if value is None:
        return "-"
    return "0 (exactly)" if value == 0 else f"{100 * value:+.1f}"


def size(count: float) -> str:
    """Bytes, in units of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def print_result(console: Console, result: Result) -> None:
    """One row per task, and the summary."""
    table = plain_table()
    table.title = f"{result.stream}, {result.method}, seed {result.seed} (accuracy and weights in %)"
    table.add_column("task", no_wrap=True)
    columns = ("acc\nlearned", "acc\nnow", "\ndensity", "\nclaimed", "\nreused", "used\nso far")
    for heading in (*columns, "KiB on\ndisk", "\nseconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for task in result.tasks:
        table.add_row(
            escape(task.name),
            percent(task.accuracy),
            percent(task.accuracy_now),
            *(percent(value, 2) for value in (task.density, task.claimed, task.reused, task.used)),
            f"{task.bytes / 1024:.1f}",
            f"{task.seconds:.1f}",
        )
    console.print(table)
    print_summary(console, result)


def print_summary(console: Console, result: Result) -> None:
    """The figures of the whole run, a line each for accuracy, transfer, cost."""
    values = result.metrics()
    bytes_per_task, dense = values["bytes_per_task"] or 0.0, values["dense_bytes"] or 1.0
    ratio = f", {values['step_ratio']:.2f} times plain training" if values["step_ratio"] else ""
    lines = [
        f"[bold]ACC {percent(values['ACC'])}%[/]   BWT {points(values['BWT'])}   "
        f"FWT: {points(values['fwt_independent'])} against independent, {points(values['fwt_gem'])} (GEM)",
        f"density {percent(values['density'], 2)}%   used {percent(values['used'], 2)}% of the shared weights",
        f"{size(bytes_per_task)} a task on disk: {100 * bytes_per_task / dense:.1f}% of the dense float32 model "
        f"({size(dense)})",
        f"training {values['seconds']:.1f} s   a step {1000 * result.step_seconds():.2f} ms{ratio}",
    ]
    if result.reference:
        lines.append(f"one dense network per task: ACC {percent(result.reference['ACC'])}%")
    console.print("\n".join(lines), highlight=False)


def print_comparison(console: Console, comparison: Comparison) -> None:
    """A grid in two tables, accuracy and cost, a row per variant and length of training; then what failed."""
    several = len({row.epochs for row in comparison.rows}) > 1
    names = [heading for heading in HEADINGS[:2] if several or heading != "epochs"]
    title = f"{comparison.grid['stream']}, {comparison.grid['tasks']} tasks"
    for what, headings in (("accuracy", HEADINGS[2:_COST]), ("cost", HEADINGS[_COST:])):
        table = plain_table()
        table.title = f"{title}: {what}"
        for heading in (*names, *headings):
            first = heading == HEADINGS[0]
            table.add_column(heading.replace(" ", "\n"), justify="left" if first else "right", no_wrap=not first)
        for row in comparison.rows:
            texts = dict(zip(HEADINGS, cells(row), strict=True))
            table.add_row(*(escape(texts[heading]) for heading in (*names, *headings)))
        console.print(table)
    for note in comparison.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    for failure in comparison.failures:
        console.print(
            f"[bold red]failed:[/] {escape(failure['job'])}: {escape(failure['reason'])}",
            highlight=False,
            soft_wrap=True,
        )
    if comparison.failures:
        console.print("The same command tries again what failed.", highlight=False)


def plain_table() -> Table:
    """A table without walls, to fit 80 columns."""
    return Table(box=SIMPLE_HEAD, padding=0, title_justify="left", title_style="bold")


def tasks_table(records: Sequence[TaskRecord], sizes: Sequence[int], dense: int) -> Table:
    """What a store holds, a row per task."""
    table = plain_table()
    table.add_column("task", no_wrap=True)
    table.add_column("method", no_wrap=True)
    for heading in ("density\n%", "claimed\n%", "reused\n%", "KiB on\ndisk", "of\ndense %", "\nseconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("\nparents", justify="right", no_wrap=True)
    for record, on_disk in zip(records, sizes, strict=True):
        total, used, claimed = (
            sum(layer[key] for layer in record.layers.values()) for key in ("weights", "used", "claimed")
        )
        table.add_row(
            escape(record.name),
            record.method["name"],
            *(percent(count / total, 2) for count in (used, claimed, used - claimed)),
            f"{on_disk / 1024:.1f}",
            percent(on_disk / dense),
            "-" if record.seconds is None else f"{record.seconds:.1f}",
            str(len(record.parents)),
        )
    return table
