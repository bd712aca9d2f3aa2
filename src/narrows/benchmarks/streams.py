"""Streams: one table of data set x transformation x split, and one function that makes any of them.

Knows nothing of networks' insides, methods or stores; `network` is only a name for `make_network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from narrows.benchmarks.datasets.base import Source, Split
from narrows.benchmarks.datasets.digits import load_digits
from narrows.benchmarks.datasets.idx import load_fashion_mnist, load_mnist
from narrows.benchmarks.datasets.tiny_imagenet import open_tiny_imagenet
from narrows.benchmarks.seeds import CLASS_ORDER, generator
from narrows.benchmarks.task_data import LazyTasks, TaskData
from narrows.benchmarks.transformations import angles, permutation, permute, rotate
from narrows.errors import ConfigError, DataError, DatasetMissingError, UnknownNameError, nearest

__all__ = ["Stream", "StreamSpec", "TaskData", "make_stream", "stream_names"]


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


@dataclass(frozen=True)
class StreamSpec:
    """A row of the table. `classes`: classes a task, or None where every task has them all. `network`,
    `epochs` and `batch_size` are what a run takes where it is not told others.

    data: "none" (the data come with a package), "optional" (there is a default folder) or "required".
    """

    name: str
    summary: str
    dataset: str
    transformation: Literal["none", "permutation", "rotation"]
    tasks: int
    classes: int | None
    network: str
    epochs: int
    batch_size: int = 64
    augment: bool = False
    image_size: int | None = None
    data: Literal["none", "optional", "required"] = "none"

    @property
    def needs_data(self) -> bool:
        """Whether a folder must be given."""
        return self.data == "required"


# Round numbers by hand, not measured: nothing about later tasks, or about test images, gets in.
_NORMALISATION = {
    "digits": (0.3, 0.35),
    "mnist": (0.15, 0.3),
    "fashion-mnist": (0.3, 0.35),
    "tiny-imagenet": (0.45, 0.27),
}

_ROWS = (
    StreamSpec("permuted-digits", "8x8 digits, each task its own fixed permutation of the pixels",
               "digits", "permutation", 10, None, "mlp", 20),
    StreamSpec("rotated-digits", "8x8 digits, turned by 0 to 180 degrees in even steps",
               "digits", "rotation", 10, None, "mlp", 20),
    StreamSpec("split-digits", "8x8 digits, two classes a task",
               "digits", "none", 5, 2, "mlp", 20),
    StreamSpec("split-fashion-mnist", "28x28 clothes, two classes a task",
               "fashion-mnist", "none", 5, 2, "lenet", 3, data="optional"),
    StreamSpec("permuted-fashion-mnist", "28x28 clothes, each task its own fixed permutation of the pixels",
               "fashion-mnist", "permutation", 10, None, "mlp", 3, data="optional"),
    StreamSpec("split-mnist", "28x28 digits, two classes a task",
               "mnist", "none", 5, 2, "lenet", 3, data="required"),
    StreamSpec("permuted-mnist", "28x28 digits, each task its own fixed permutation of the pixels",
               "mnist", "permutation", 10, None, "mlp", 3, data="required"),
    StreamSpec("rotated-mnist", "28x28 digits, turned by 0 to 180 degrees in even steps",
               "mnist", "rotation", 10, None, "mlp", 3, data="required"),
    StreamSpec("tiny-imagenet", "photographs at 32x32, ten classes a task",
               "tiny-imagenet", "none", 5, 10, "conv", 10, augment=True, image_size=32, data="required"),
)  # fmt: skip
_HOW_TO_GET = {
    "mnist": "The folder holds the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on).",
    "tiny-imagenet": (
        "The folder holds Tiny ImageNet as distributed (tiny-imagenet-200.zip, unpacked: train/, val/, wnids.txt), or "
        "the parquet files of a copy on the Hugging Face hub (train-*.parquet, valid-*.parquet)."
    ),
}
_TASK_WORD = {"none": "split", "permutation": "permutation", "rotation": "rotation"}
_STREAMS: Mapping[str, StreamSpec] = {row.name: row for row in _ROWS}


def stream_names() -> Mapping[str, StreamSpec]:
    """The table of streams: name -> its defaults, a one-line summary, whether it needs data."""
    return _STREAMS


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
    if name not in _STREAMS:
        raise UnknownNameError(f"there is no stream named {name!r}: {nearest(name, _STREAMS)}")
    spec = _STREAMS[name]
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

    names = [f"{_TASK_WORD[spec.transformation]}-{i + 1:02d}" for i in range(tasks)]
    lazy = LazyTasks(source, names, groups, _transformer(spec, seed, tasks, source.shape))
    mean, std = _NORMALISATION[spec.dataset]
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
            f"{spec.name} needs data: say --data FOLDER (in Python: data=). {_HOW_TO_GET[spec.dataset]}"
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
