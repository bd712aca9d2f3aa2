"""Commands that only look: streams, methods, the tasks of a store, one of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.text import Text

from narrows.cli.as_json import Json, print_json
from narrows.cli.common import StorePath, TaskName
from narrows.cli.screen import Screen, say
from narrows.cli.tables import counted, percent, plain_table, size, task_row, tasks_table
from narrows.store.listing import StoreListing
from narrows.store.names import PROGRESS_DIR


def streams_command(as_json: Json = False) -> None:
    """List the streams of tasks that `narrows run` knows."""
    from narrows.benchmarks.streams import stream_names

    if as_json:
        print_json("streams", {"streams": stream_names()})
        return
    table = plain_table()
    table.add_column("stream", no_wrap=True)
    table.add_column("what it is, and what a run takes by default")
    where = {"none": "built in", "optional": "--data optional", "required": "--data"}
    for spec in stream_names().values():
        classes = "all classes" if spec.classes is None else f"{spec.classes} classes"
        defaults = (f"{spec.tasks} tasks x {classes}", spec.network, counted(spec.epochs, "epoch"), where[spec.data])
        table.add_row(spec.name, Text.assemble(f"{spec.summary}\n", (", ".join(defaults), "dim")))
    console = Screen()
    console.print(table)
    console.print("--data FOLDER, or --data hub to download: docs/streams.md says what a folder holds.")


def methods_command(as_json: Json = False) -> None:
    """List the methods and their options."""
    from narrows.methods import METHODS

    if as_json:
        methods = {
            kind.name: {
                "summary": kind.summary,
                "options": {field.name: field.default for field in dataclasses.fields(kind)},
            }
            for kind in METHODS.values()
        }
        print_json("methods", {"methods": methods})
        return
    table = plain_table()
    table.add_column("method", no_wrap=True)
    table.add_column("what it is, and its options for --set with their defaults")
    for kind in METHODS.values():
        options = ", ".join(f"{field.name}={_default(field.default)}" for field in dataclasses.fields(kind))
        table.add_row(kind.name, Text.assemble(f"{kind.summary}\n", (options or "no options", "dim")))
    Screen().print(table)


def _default(value: object) -> str:
    return "none" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)


def tasks_command(store: StorePath, as_json: Json = False) -> None:
    """List what a store holds, with what each task cost, and how accurate it was on its validation data."""
    told = StoreListing.open(store).steadily(_told)
    if as_json:
        print_json("tasks", told)
        return
    console, tasks = Screen(), told["tasks"]
    if tasks:
        console.print(tasks_table(tasks))
        verb = "uses" if len(tasks) == 1 else "use"
        console.print(
            f"{counted(len(tasks), 'task')} {verb} {percent(told['used'], 2)}% of {told['weights']:,} shared weights; "
            f"the whole store is {size(told['bytes'])}, one dense network {size(told['dense_bytes'])}.",
        )
    else:
        say(console, f"{store} holds no task yet.")
    for file, on_disk in told["checkpoints"].items():
        say(
            console,
            f"a task being learned: {file}, {size(on_disk)}. Its `learn` command goes on with it; delete the file to "
            "give it up.",
        )


def _told(store: StoreListing) -> dict[str, Any]:
    from narrows.tasks.account import used_by

    records, dense = store.records(), store.header.base.bytes
    checkpoints = sorted((store.path / PROGRESS_DIR).glob("*.ckpt"))
    return {
        "tasks": [task_row(record, store.bytes_of(record.name), dense) for record in records],
        "used": used_by(records),
        "weights": sum(spec.numel for spec in store.shared),
        "bytes": store.bytes_total(),
        "dense_bytes": dense,
        "checkpoints": {f"{PROGRESS_DIR}/{file.name}": file.stat().st_size for file in checkpoints},
    }


def show_command(
    store: StorePath,
    name: TaskName,
    as_json: Json = False,
) -> None:
    """Show a task: what it is, when and on what it was learned, how well, what it builds on, what builds on it."""
    from narrows.cli.task_page import print_task
    from narrows.production import describe
    from narrows.tasks import TaskStore

    told = describe(TaskStore.open(store), name)
    if as_json:
        print_json("task", told)
        return
    print_task(Screen(), told)
