"""Commands that only look: streams, methods, the tasks of a store, one of them."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from narrows.benchmarks.streams import stream_names
from narrows.cli.common import StorePath, TaskName, say
from narrows.cli.tables import percent, plain_table, size, tasks_table
from narrows.cli.task_page import print_task
from narrows.methods import METHODS
from narrows.production.describing import describe
from narrows.store import TaskRecord
from narrows.store.compose import used_fraction
from narrows.store.names import PROGRESS_DIR
from narrows.store.reading import StoreReader
from narrows.tasks import TaskStore


def streams_command() -> None:
    """List the streams of tasks that `narrows run` knows."""
    table = plain_table()
    table.add_column("stream", no_wrap=True)
    table.add_column("what it is, and what a run takes by default")
    where = {"none": "built in", "optional": "--data optional", "required": "--data"}
    for spec in stream_names().values():
        classes = "all classes" if spec.classes is None else f"{spec.classes} classes"
        defaults = (f"{spec.tasks} tasks x {classes}", spec.network, f"{spec.epochs} epochs", where[spec.data])
        table.add_row(spec.name, f"{spec.summary}\n[dim]{', '.join(defaults)}[/]")
    console = Console()
    console.print(table)
    console.print(
        "--data FOLDER, or --data hub to download: docs/streams.md says what a folder holds.", highlight=False
    )


def methods_command() -> None:
    """List the methods and their options."""
    table = plain_table()
    table.add_column("method", no_wrap=True)
    table.add_column("what it is, and its options for --set with their defaults")
    for kind in METHODS.values():
        options = ", ".join(f"{field.name}={_default(field.default)}" for field in dataclasses.fields(kind))
        table.add_row(kind.name, f"{kind.summary}\n[dim]{escape(options) or 'no options'}[/]")
    Console().print(table)


def _default(value: object) -> str:
    return "none" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)


def tasks_command(store: StorePath) -> None:
    """List what a store holds, with what each task cost."""
    opened = TaskStore.open(store)
    console = Console()
    records, sizes, used, total = opened.directory.steadily(_figures)
    if not records:
        console.print(f"{store} holds no task yet.", highlight=False, markup=False)
        _print_checkpoints(opened, console)
        return
    dense = opened.directory.header.base.bytes
    console.print(tasks_table(records, sizes, dense))
    console.print(
        f"{len(records)} tasks use {percent(used, 2)}% of {sum(s.numel for s in opened.shared):,} shared "
        f"weights; the whole store is {size(total)}, one dense network {size(dense)}.",
        highlight=False,
    )
    _print_checkpoints(opened, console)


def _figures(reader: StoreReader) -> tuple[tuple[TaskRecord, ...], list[int], float, int]:
    """The tasks, the bytes of each, what they use, and the bytes of all, at one moment."""
    records = reader.records()
    return records, [reader.bytes_of(record.name) for record in records], used_fraction(reader), reader.bytes_total()


def _print_checkpoints(store: TaskStore, console: Console) -> None:
    """Of tasks that were interrupted."""
    for file in sorted((store.path / PROGRESS_DIR).glob("*.ckpt")):
        say(
            console,
            f"a task being learned: {PROGRESS_DIR}/{file.name}, {size(file.stat().st_size)}. Its `learn` command "
            "goes on with it; delete the file to give it up.",
        )


def show_command(
    store: StorePath,
    name: TaskName,
    as_json: Annotated[bool, typer.Option("--json", help="Everything known, as JSON.")] = False,
) -> None:
    """Show a task: what it is, when and on what it was learned, how well, what it builds on, what builds on it."""
    told = describe(TaskStore.open(store), name)
    if as_json:
        print(json.dumps(told, indent=1))
        return
    print_task(Console(), told)
