"""Commands that only look: streams, methods, the tasks of a store, its soundness."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from narrows.benchmarks.streams import stream_names
from narrows.cli.tables import percent, size, tasks_table
from narrows.methods import METHODS
from narrows.tasks import TaskStore

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store, as runs/.../store.")]


def streams_command() -> None:
    """List the streams of tasks that `narrows run` knows."""
    table = Table()
    for heading in ("stream", "what it is", "tasks", "classes a task", "network", "epochs", "data"):
        table.add_column(heading)
    where = {"none": "built in", "optional": "--data, or Debian's folder", "required": "--data"}
    for spec in stream_names().values():
        classes = "all" if spec.classes is None else str(spec.classes)
        table.add_row(
            spec.name, spec.summary, str(spec.tasks), classes, spec.network, str(spec.epochs), where[spec.data]
        )
    Console().print(table)


def methods_command() -> None:
    """List the methods and their options."""
    table = Table()
    for heading in ("method", "what it is", "options (default)"):
        table.add_column(heading)
    for kind in METHODS.values():
        options = ", ".join(f"{field.name} ({field.default})" for field in dataclasses.fields(kind))
        table.add_row(kind.name, kind.summary, options or "-")
    Console().print(table)


def tasks_command(store: StorePath) -> None:
    """List what a store holds, with what each task cost."""
    opened = TaskStore.open(store)
    records = opened.tasks()
    console = Console()
    if not records:
        console.print(f"{store} holds no task yet.", highlight=False)
        return
    dense = opened.directory.header.base.bytes
    console.print(tasks_table(records, [opened.directory.bytes_of(record.name) for record in records], dense))
    console.print(
        f"{len(records)} tasks use {percent(opened.used(), 2)}% of {sum(s.numel for s in opened.shared):,} shared "
        f"weights; the whole store is {size(opened.directory.bytes_total())}, one dense network {size(dense)}.",
        highlight=False,
    )


def verify_command(store: StorePath) -> None:
    """Check every byte of a store and rebuild every task's weights.

    Exit code 1 where something is damaged; what is damaged, and what to do, is said for each file.
    """
    opened = TaskStore.open(store)
    console = Console()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("verifying", total=None)
        problems = opened.verify(lambda _, done, total: progress.update(bar, completed=done, total=total))
    for problem in problems:
        colour = "yellow" if problem.harmless else "red"
        console.print(f"[{colour}]{problem.file}[/] {problem.what}; {problem.remedy}", highlight=False, soft_wrap=True)
    damaged = [problem for problem in problems if not problem.harmless]
    if damaged:
        console.print(f"[bold red]{len(damaged)} problems.[/] Tasks not named above are sound.", highlight=False)
        raise typer.Exit(1)
    count = len(opened.directory.task_names())
    console.print(
        f"[green]sound:[/] {count} tasks, every file's SHA-256 and every task's rebuilt weights agree.", highlight=False
    )
