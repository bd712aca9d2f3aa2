"""Parts of a stream for choosing options by: its first tasks, and held-out training data in place of test data.

Knows no data set, method or run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import overload

import torch

from narrows.benchmarks.streams import Stream
from narrows.benchmarks.task_data import TaskData
from narrows.data.seeds import HOLD_OUT, generator
from narrows.errors import ConfigError, DataError

_VIEWS = {"quarter-turns": 4}
"""Transformations that give each image several times, all first as they are, then all turned, and so on."""

_OF_TRAINING = 1  # index 0 of HOLD_OUT is the digits' test part


def first_tasks(stream: Stream, count: int) -> Stream:
    """The first `count` tasks of a stream, as they are in the whole stream (an angle, a class order).

    Raises:
        ConfigError: the stream has not so many.
    """
    if not 1 <= count <= len(stream.tasks):
        raise ConfigError(f"{stream.name} has {len(stream.tasks)} tasks here; its first {count} cannot be learned.")
    description = dict(stream.description)
    for of_each_task in ("tasks", "degrees"):
        if of_each_task in description:
            description[of_each_task] = description[of_each_task][:count]
    return replace(stream, tasks=_View(stream.tasks, count, lambda task: task), description=description)


def held_out(stream: Stream, fraction: float, seed: int) -> Stream:
    """The stream with a part of each task's training examples as its test data; its own test data are left out.

    Which examples are held out depends on the seed and on how many there are, and not on the task: where all
    tasks have the same examples (permuted, rotated), none held out in one is trained on in another. Where a task has
    every image in four orientations, all four are held out together.

    Args:
        fraction: held out of the training examples, above 0 and below 1; rounded, at least one example.

    Raises:
        ConfigError: a fraction out of range.
        DataError: a task with too few examples.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"holdout is a fraction of the training data, above 0 and below 1; got {fraction}.")
    views = _VIEWS.get(stream.description["transformation"], 1)
    for task in stream.description["tasks"]:
        if _held(fraction, task["train"], views) >= task["train"]:
            raise DataError(
                f"{stream.name}: of the {task['train']} training examples of {task['name']}, holdout {fraction} "
                "leaves none to train on."
            )

    def split(task: TaskData) -> TaskData:
        count = len(task.train_y)
        order = torch.randperm(count // views, generator=generator(seed, HOLD_OUT, _OF_TRAINING))
        size = _held(fraction, count, views) // views
        turns = torch.arange(views)[:, None] * (count // views)
        held, rest = ((turns + part.sort().values).flatten() for part in (order[:size], order[size:]))
        return replace(
            task,
            train_x=task.train_x[rest],
            train_y=task.train_y[rest],
            test_x=task.train_x[held],
            test_y=task.train_y[held],
        )

    described = []
    for task in stream.description["tasks"]:
        held = _held(fraction, task["train"], views)
        described.append(task | {"train": task["train"] - held, "test": held})
    description = stream.description | {"tasks": described}
    return replace(stream, tasks=_View(stream.tasks, len(stream.tasks), split), description=description)


def _held(fraction: float, count: int, views: int) -> int:
    return views * max(1, round(fraction * (count // views)))


class _View(Sequence[TaskData]):
    """The first tasks of a sequence, each passed through a function when it is asked for."""

    def __init__(self, tasks: Sequence[TaskData], count: int, change: Callable[[TaskData], TaskData]) -> None:
        self._tasks, self._count, self._change = tasks, count, change

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> TaskData: ...
    @overload
    def __getitem__(self, index: slice) -> list[TaskData]: ...
    def __getitem__(self, index: int | slice) -> TaskData | list[TaskData]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        return self._change(self._tasks[range(self._count)[index]])
