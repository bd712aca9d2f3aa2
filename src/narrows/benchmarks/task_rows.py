"""What is measured of a store: every task's accuracy, and the account of what it keeps.

Always from the store, never copied from an earlier measurement.
"""

from __future__ import annotations

from collections.abc import Sequence

from narrows.benchmarks.results import Row, TaskRow
from narrows.benchmarks.stream_data import StreamData
from narrows.store import TaskRecord
from narrows.tasks import TaskStore
from narrows.training import accuracy


def accuracies(store: TaskStore, records: Sequence[TaskRecord], material: StreamData) -> Row:
    """A row of R: the tasks loaded from the store and measured; None for those not in `records`."""
    tasks = material.stream.tasks
    row: Row = [None] * len(tasks)
    for j, record in enumerate(records):
        model = store.load(record.name).to(material.options.device)
        row[j] = accuracy(model, material.test_batches(tasks[j]))
    return row


def used_after(store: TaskStore, index: int) -> float:
    """Used capacity once task `index` was learned: the values that the tasks up to it keep / shared weights."""
    total = sum(spec.numel for spec in store.shared)
    records = store.tasks()[: index + 1]
    claimed: list[float] = [sum(layer["claimed"] for layer in record.layers.values()) / total for record in records]
    return max(claimed) if records[-1].isolation == "none" else sum(claimed)


def task_row(store: TaskStore, record: TaskRecord, measured: float, used: float) -> TaskRow:
    """What result.json says of a task that was just measured."""
    layers = store.explain(record.name)
    total = sum(layer.weights for layer in layers)
    claimed = sum(layer.claimed for layer in layers) / total
    reused = sum(layer.reused for layer in layers) / total
    return TaskRow(
        name=record.name,
        accuracy=measured,
        accuracy_now=measured,
        density=claimed + reused,
        claimed=claimed,
        reused=reused,
        used=used,
        bytes=store.directory.steadily(lambda reader: reader.bytes_of(record.name)),
        seconds=record.metrics.get("seconds", record.seconds or 0.0),
        step_seconds=record.metrics["step_seconds"],
        start_accuracy=record.metrics["start_accuracy"],
        untrained=record.metrics["untrained"],
        layers={layer.name: layer.density for layer in layers},
    )
