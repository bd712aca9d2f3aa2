"""Any stream of the table, made: its tasks, and a description to record.

Knows nothing of networks' insides, methods or stores; `network` is only a name for `make_network`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.benchmarks.datasets.base import Source, Split
from narrows.benchmarks.datasets.digits import load_digits
from narrows.benchmarks.datasets.idx import load_fashion_mnist, load_mnist
from narrows.benchmarks.datasets.tiny_imagenet import open_tiny_imagenet
from narrows.benchmarks.seeds import CLASS_ORDER, generator
from narrows.benchmarks.streams.table import HOW_TO_GET, NORMALISATION, STREAMS, TASK_WORD, StreamSpec
from narrows.benchmarks.task_data import LazyTasks, TaskData
from narrows.benchmarks.transformations import angles, permutation, permute, rotate
from narrows.errors import ConfigError, DataError, DatasetMissingError, UnknownNameError, nearest


@dataclass(frozen=True, eq=False)
class Stream:
    """A sequence of tasks; `tasks[i]` makes task i when asked, always the same one.

    mean, std: what `Batches` subtracts and divides by, on the scale 0..1. `network`: the default network.
    `description`: plain JSON to record with a result: data set, split, transformation, class order, seeds,
    sizes.
    """

    name: str
    tasks: Sequence[TaskData]
    input_shape: tuple[int, ...]
    network: str
    augment: bool
    mean: float
    std: float
    description: dict[str, Any]


def make_stream(
    name: str,
    *,
    data: Path | None = None,
    seed: int = 0,
    tasks: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> Stream:
    """The stream of that name; what is left out takes the table's default.

    `seed` fixes the class order of split streams, the permutations, and the digits' held-out fifth.
    UnknownNameError: no such stream. ConfigError: an option which that stream does not take, or out of
    range. DatasetMissingError, DataError: no data, damaged data, or too few classes for tasks x classes.
    """
    if name not in STREAMS:
        raise UnknownNameError(f"there is no stream named {name!r}: {nearest(name, STREAMS)}")
    spec = STREAMS[name]
    _check_taken(spec, data=data, classes=classes, image_size=image_size)
    for option, value in (("tasks", tasks), ("classes", classes), ("image_size", image_size)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be at least 1, not {value}")
    if seed < 0:
        raise ConfigError(f"seed must be zero or more, not {seed}")
    tasks = spec.tasks if tasks is None else tasks
    classes = spec.classes if classes is None else classes
    source = _load(spec, data, seed, image_size or spec.image_size)

    total = len(source.classes)
    if classes is None:
        order = list(range(total))
        groups = [order] * tasks
    else:
        if tasks * classes > total:
            raise DataError(
                f"{name}: {tasks} tasks of {classes} classes need {tasks * classes} classes, and the data have {total}"
            )
        order = torch.randperm(total, generator=generator(seed, CLASS_ORDER)).tolist()
        groups = [order[i * classes : (i + 1) * classes] for i in range(tasks)]
    counts: dict[Split, list[int]] = {"train": source.counts("train"), "test": source.counts("test")}
    for label in sorted({label for group in groups for label in group}):
        for split, of_class in counts.items():
            if not of_class[label]:  # said now, not at the seventh task
                raise DataError(f"{name}: class {source.classes[label]!r} has no {split} examples")

    names = [f"{TASK_WORD[spec.transformation]}-{i + 1:02d}" for i in range(tasks)]
    lazy = LazyTasks(source, names, groups, _transformer(spec, seed, tasks, source.shape))
    mean, std = NORMALISATION[spec.dataset]
    description: dict[str, Any] = {
        "stream": name,
        "dataset": spec.dataset,
        "transformation": spec.transformation,
        "split": "all classes in every task" if spec.classes is None else "disjoint classes",
        "seed": seed,
        "input_shape": list(source.shape),
        "normalisation": {"mean": mean, "std": std},
        "augment": spec.augment,
        "class_order": order,
        "tasks": [
            {
                "name": names[i],
                "classes": [source.classes[label] for label in group],
                "train": sum(counts["train"][label] for label in group),
                "test": sum(counts["test"][label] for label in group),
            }
            for i, group in enumerate(groups)
        ],
    }
    if spec.transformation == "rotation":
        description["degrees"] = angles(tasks)
    return Stream(name, lazy, source.shape, spec.network, spec.augment, mean, std, description)


def _transformer(spec: StreamSpec, seed: int, tasks: int, shape: tuple[int, ...]) -> Callable[[Tensor, int], Tensor]:
    """(images, task index) -> that task's images."""
    if spec.transformation == "permutation":
        pixels = shape[1] * shape[2]
        return lambda x, task: permute(x, permutation(seed, task, pixels))
    if spec.transformation == "rotation":
        degrees = angles(tasks)
        return lambda x, task: rotate(x, degrees[task])
    return lambda x, _: x


def _check_taken(spec: StreamSpec, **options: object) -> None:
    """ConfigError for an option that this stream does not take; DatasetMissingError for missing data."""
    takes = {
        "data": spec.data != "none",
        "classes": spec.classes is not None,
        "image_size": spec.image_size is not None,
    }
    for option, value in options.items():
        if value is not None and not takes[option]:
            raise ConfigError(f"{spec.name} does not take the option {option}")
    if spec.needs_data and options["data"] is None:
        raise DatasetMissingError(
            f"{spec.name} needs data: say --data FOLDER (in Python: data=). {HOW_TO_GET[spec.dataset]}"
        )


def _load(spec: StreamSpec, data: Path | None, seed: int, image_size: int | None) -> Source:
    if spec.dataset == "digits":
        return load_digits(seed)
    if spec.dataset == "fashion-mnist":
        return load_fashion_mnist(data)
    assert data is not None  # _check_taken has refused it
    if spec.dataset == "mnist":
        return load_mnist(data)
    assert image_size is not None
    return open_tiny_imagenet(data, image_size)
