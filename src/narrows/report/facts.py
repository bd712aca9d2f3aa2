"""What a report is about: everything that was found out, each part when it is first asked for.

Knows where figures come from, and no page. What cannot be found out is None or empty, never an error; a damaged
file is an error of its part alone (`narrows.report.build` shows the rest).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.analysis import cost
from narrows.analysis.back_test import BackTest, back_test
from narrows.analysis.capacity import Capacity, capacity
from narrows.analysis.forecast import Forecast, forecast
from narrows.analysis.forgettable import Forgettable, forgettable
from narrows.analysis.insides import Inside, insides, store_of
from narrows.analysis.measurements import Measurements
from narrows.analysis.overlap import Overlap, overlap
from narrows.analysis.retention import Retention, retention
from narrows.analysis.subject import Missing, Subject
from narrows.benchmarks.results import Result
from narrows.errors import DamagedStoreError, NarrowsError, UntrustedModelError
from narrows.store import TaskRecord
from narrows.store.reader import StoreReader
from narrows.training import History, read_history

if TYPE_CHECKING:
    from narrows.store.verify import Problem


@dataclass
class Facts:
    """Of one subject.

    Attributes:
        subject: what the path holds.
        verify: whether to put every task together and compare digests.
        command: what made the page.
        measured: what was measured on examples; None where nobody asked for it.
        options: of `narrows report` that a command on the page repeats, as --out and --lang.
        drawn: tasks whose pictures are wanted; () for all.
    """

    subject: Subject
    verify: bool = True
    command: str = field(default="")
    measured: Measurements | None = None
    options: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.subject.path

    @property
    def reader(self) -> StoreReader | None:
        return self.subject.reader

    @property
    def result(self) -> Result | None:
        return self.subject.result

    @cached_property
    def metrics(self) -> Mapping[str, float | None] | None:
        """Of the result; None without one, or without a task."""
        return None if self.result is None or not self.result.tasks else self.result.metrics()

    @property
    def store_folder(self) -> str:
        """What stands before a file of the store where the report is of the run's folder."""
        return "store/" if self.subject.kind == "run" else ""

    @cached_property
    def records(self) -> tuple[TaskRecord, ...]:
        """Of every task of the store whose task.json can be read; none without a store."""
        if self.reader is None:
            return ()
        try:
            return self.reader.steadily(lambda reader: reader.records())
        except DamagedStoreError:
            return self.reader.steadily(_readable)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the tasks, in order of learning."""
        if self.reader is not None:
            return self.reader.task_names()
        return () if self.result is None else tuple(task.name for task in self.result.tasks)

    @cached_property
    def problems(self) -> tuple[Problem, ...] | None:
        """What is wrong with the store's files; None where nobody looked."""
        if self.reader is None or not self.verify:
            return None
        from narrows.store import StoreDirectory

        directory = StoreDirectory(self.reader.path, self.reader.header)
        return tuple(directory.verify(deep=True))

    @property
    def damage(self) -> tuple[Problem, ...]:
        """What is wrong with the store and not harmless; () where nothing is, or nobody looked."""
        return tuple(problem for problem in self.problems or () if not problem.harmless)

    @cached_property
    def validated(self) -> dict[str, float | None]:
        """Accuracy of each task of the store on validation data when it was learned; None where not measured."""
        return {record.name: accuracy_of(record) for record in self.records}

    @cached_property
    def capacity(self) -> Capacity | None:
        """Whose the weights are; None without a store."""
        return None if self.reader is None else capacity(self.reader)

    @cached_property
    def forecast(self) -> Forecast | None:
        """How many more tasks fit; None without a store, or without a task that shares weights."""
        return None if self.capacity is None else forecast(self.capacity)

    @cached_property
    def back_test(self) -> BackTest | None:
        """What the same forecast would have said before of the weights taken; None where there are too few tasks."""
        return None if self.capacity is None else back_test(self.capacity, of="taken")

    @cached_property
    def figures(self) -> cost.CostFigures | None:
        """What a plan rests on; None where no task has been learned."""
        try:
            found = self.forecast
        except NarrowsError:  # a mask is damaged: the plan does without it, and says so
            found = None
        return cost.cost_figures(self.subject, found)

    @cached_property
    def overlap(self) -> Overlap | None:
        """Tasks' masks two by two, and who reuses whose weights; None without a store."""
        return None if self.reader is None else overlap(self.reader)

    @cached_property
    def forgettable(self) -> tuple[Forgettable, ...]:
        """What forgetting each task would do; none without a store."""
        return () if self.reader is None else forgettable(self.reader)

    @cached_property
    def histories(self) -> dict[str, History | DamagedStoreError | None]:
        """How each task of the store was trained, in order; None where no record was kept, or what is wrong with it."""
        return {record.name: _history_of(record) for record in self.records}

    @cached_property
    def retention(self) -> tuple[Retention, ...]:
        """What each task keeps of each layer; () without a store."""
        return () if self.reader is None else retention(self.reader)

    @property
    def pictured(self) -> tuple[str, ...]:
        """Tasks whose pictures are wanted."""
        return tuple(name for name in self.names if not self.drawn or name in self.drawn)

    @cached_property
    def insides(self) -> Mapping[str, Inside] | Missing:
        """Of the pictured tasks by name; what is missing where the network cannot be built."""
        description = None if self.result is None else self.result.stream_description
        try:
            store = store_of(self.subject)
            return {found.task: found for found in insides(store, self.pictured, description)}
        except UntrustedModelError as error:
            return Missing("network", str(error), "--trust")
        except NarrowsError as error:
            return Missing("network", str(error), "")

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Bytes on disk of each task, measured now, in order; of a result without a store what it says."""
        if self.reader is not None:
            return self.reader.steadily(lambda reader: tuple(reader.bytes_of(name) for name in reader.task_names()))
        return () if self.result is None else tuple(task.bytes for task in self.result.tasks)

    @cached_property
    def dense_bytes(self) -> int | None:
        """Bytes of the network without masks, uncompressed."""
        if self.result is not None and self.result.dense_bytes:
            return self.result.dense_bytes
        return None if self.reader is None else self.reader.header.base.bytes


def _readable(reader: StoreReader) -> tuple[TaskRecord, ...]:
    found = []
    for name in reader.task_names():
        with suppress(DamagedStoreError):
            found.append(reader.record(name))
    return tuple(found)


def _history_of(record: TaskRecord) -> History | DamagedStoreError | None:
    try:
        return read_history(record.history)
    except DamagedStoreError as error:
        return error


def scores_of(record: TaskRecord) -> Mapping[str, Any]:
    """A task's scores on validation data; empty where none stand with it, or not as narrows writes them."""
    found = record.metrics.get("validation")
    return found if isinstance(found, Mapping) else {}


def accuracy_of(record: TaskRecord) -> float | None:
    """Its accuracy on validation data, a fraction; None for what is no classifier, or was not measured."""
    return score_of(record, "accuracy")


def score_of(record: TaskRecord, name: str) -> float | None:
    """One of its scores on validation data."""
    found = scores_of(record).get(name)
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None
