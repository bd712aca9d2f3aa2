"""One task's examples, and a sequence of tasks made only when asked for.

Knows nothing of the table of streams, nor of what the transformation does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

from torch import Tensor

from narrows.benchmarks.datasets.image_source import ImageSource

_CACHE_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class TaskData:
    """One task. x: uint8 or float32 images (n, C, H, W); y: int64 (n,), 0..k-1 within the task."""

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]


Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(images, labels) of a part -> those of the task."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a task is made of: these classes of a source, re-numbered in that order and transformed."""

    name: str
    source: ImageSource
    classes: Sequence[int]
    transform: Transform

    def make(self) -> TaskData:
        """Reads the task's examples."""
        part = self.source.select(self.classes)
        train_x, train_y = self.transform(part.train_x, part.train_y)
        test_x, test_y = self.transform(part.test_x, part.test_y)
        return TaskData(self.name, train_x, train_y, test_x, test_y, part.classes)


class LazyTasks(Sequence[TaskData]):
    """Makes a task when it is asked for, and keeps those that fit into 512 MiB, and the latest.

    What is kept stays: throwing out the oldest would decode every task again on each round over them.
    """

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self._recipes = recipes
        self._kept: dict[int, TaskData] = {}
        self._bytes = 0
        self._latest: tuple[int, TaskData] | None = None

    def __len__(self) -> int:
        return len(self._recipes)

    @overload
    def __getitem__(self, index: int) -> TaskData: ...
    @overload
    def __getitem__(self, index: slice) -> list[TaskData]: ...
    def __getitem__(self, index: int | slice) -> TaskData | list[TaskData]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]  # counts from the end, and raises IndexError, as a list does
        if i in self._kept:
            return self._kept[i]
        if self._latest is None or self._latest[0] != i:
            task = self._recipes[i].make()
            self._latest = (i, task)
            size = task.train_x.nbytes + task.test_x.nbytes
            if self._bytes + size <= _CACHE_BYTES:
                self._kept[i] = task
                self._bytes += size
        return self._latest[1]
