"""Which classes a task has, and what is done to its images.

Knows nothing of files, and does nothing to images itself: see `transformations`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from narrows.benchmarks.datasets.cifar import CIFAR100_SUPERCLASSES
from narrows.benchmarks.datasets.image_source import ImageSource
from narrows.benchmarks.streams.table import StreamSpec
from narrows.benchmarks.task_data import Transform
from narrows.benchmarks.transformations import angles, permutation, permute, quarter_turns, rotate
from narrows.data.seeds import CLASS_ORDER, generator
from narrows.errors import DataError

_OTHER_NAMES = {"cra": "crab", "computer_keyboard": "keyboard"}  # so on the hub, and on CIFAR's page


def class_groups(
    spec: StreamSpec, sources: Sequence[ImageSource], seed: int, tasks: int, classes: int | None
) -> tuple[list[int], list[list[int]]]:
    """All classes in the order in which they would come, and the classes of each of `tasks` tasks.

    DataError: more tasks than the classes are enough for, or superclasses of another data set.
    """
    if spec.split == "datasets":
        groups = [list(range(len(source.classes))) for source in sources]
        return max(groups, key=len), groups
    if spec.split == "superclasses":
        supers = _superclasses(spec, sources[0])
        if tasks > len(supers):
            raise DataError(f"{spec.name}: there are {len(supers)} superclasses, not enough for {tasks} tasks")
        drawn = torch.randperm(len(supers), generator=generator(seed, CLASS_ORDER)).tolist()
        groups = [supers[i] for i in drawn]
        return [label for group in groups for label in group], groups[:tasks]
    total = len(sources[0].classes)
    if spec.split == "all" or classes is None:
        order = list(range(total))
        return order, [order] * tasks
    if tasks * classes > total:
        raise DataError(
            f"{spec.name}: {tasks} tasks of {classes} classes need {tasks * classes} classes, and the data have {total}"
        )
    order = torch.randperm(total, generator=generator(seed, CLASS_ORDER)).tolist()
    return order, [order[i * classes : (i + 1) * classes] for i in range(tasks)]


def transform(spec: StreamSpec, seed: int, task: int, tasks: int, shape: tuple[int, ...]) -> Transform:
    """What makes the images and labels of task number `task`, from 0."""
    if spec.transformation == "permutation":
        return lambda x, y: (permute(x, permutation(seed, task, shape[1] * shape[2])), y)
    if spec.transformation == "rotation":
        return lambda x, y: (rotate(x, angles(tasks)[task]), y)
    if spec.transformation == "quarter-turns":
        return quarter_turns
    return lambda x, y: (x, y)


def task_name(spec: StreamSpec, task: int) -> str:
    """Of task number `task`, from 0, in the store and in tables."""
    if spec.split == "datasets":
        return spec.datasets[task]
    if spec.split == "superclasses":
        return f"superclass-{task + 1:02d}"
    word = spec.transformation if spec.transformation in ("permutation", "rotation") else "split"
    return f"{word}-{task + 1:02d}"


def _superclasses(spec: StreamSpec, source: ImageSource) -> list[list[int]]:
    """The labels of each superclass, found by the names of the classes."""
    names = [name.lower().replace(" ", "_") for name in source.classes]
    number = {_OTHER_NAMES.get(name, name): label for label, name in enumerate(names)}
    missing = sorted({name for group in CIFAR100_SUPERCLASSES.values() for name in group} - set(number))
    if missing:
        raise DataError(
            f"{spec.name}: the superclasses are those of CIFAR-100, and the data have no class {missing[0]!r} "
            f"({len(missing)} are missing)"
        )
    return [[number[name] for name in group] for group in CIFAR100_SUPERCLASSES.values()]
