"""What a report is about: everything that was found out, each part when it is first asked for.

Knows where figures come from, and no page. What cannot be found out is None or empty, never an error; a damaged
file is an error of its part alone (`narrows.report.build` shows the rest).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from narrows.analysis import capacity as _capacity
from narrows.analysis import forecast as _forecast
from narrows.analysis import overlap as _overlap
from narrows.analysis.subject import Subject
from narrows.benchmarks.results import Result
from narrows.store import TaskRecord
from narrows.store.reading import StoreReader

if TYPE_CHECKING:
    from narrows.store.verify import Problem


@dataclass
class Facts:
    """Of one subject.

    Attributes:
        subject: what the path holds.
        verify: whether to put every task together and compare digests.
    """

    subject: Subject
    verify: bool = True
    command: str = field(default="")

    @property
    def path(self) -> Path:
        return self.subject.path

    @property
    def reader(self) -> StoreReader | None:
        return self.subject.reader

    @property
    def result(self) -> Result | None:
        return self.subject.result

    @property
    def store_folder(self) -> str:
        """What stands before a file of the store where the report is of the run's folder."""
        return "store/" if self.subject.kind == "run" else ""

    @cached_property
    def records(self) -> tuple[TaskRecord, ...]:
        """Of every task of the store; none without a store."""
        return () if self.reader is None else self.reader.steadily(lambda reader: reader.records())

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

    @cached_property
    def capacity(self) -> _capacity.Capacity | None:
        """Whose the weights are; None without a store."""
        return None if self.reader is None else _capacity.capacity(self.reader)

    @cached_property
    def forecast(self) -> _forecast.Forecast | None:
        """What the next tasks will claim; None without a store, or where no task shares weights."""
        return None if self.capacity is None else _forecast.forecast(self.capacity)

    @cached_property
    def back_test(self) -> _forecast.BackTest | None:
        """What the forecast would have said earlier, against what came; None where there are too few tasks."""
        return None if self.capacity is None else _forecast.back_test(self.capacity)

    @cached_property
    def overlap(self) -> _overlap.Overlap | None:
        """Tasks' masks two by two; None without a store."""
        return None if self.reader is None else _overlap.overlap(self.reader)
