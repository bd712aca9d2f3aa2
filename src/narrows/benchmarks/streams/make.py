"""Any stream of the table, made: its tasks, and a description to record.

Knows nothing of networks' insides, methods or stores; `network` is only a name for `make_network`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrows.benchmarks.datasets.catalogue import DATASETS
from narrows.benchmarks.datasets.image_source import SPLITS, ImageSource, Split
from narrows.benchmarks.datasets.opening import HUB, open_dataset
from narrows.benchmarks.streams.splits import class_groups, task_name, transform
from narrows.benchmarks.streams.table import STREAMS, StreamSpec
from narrows.benchmarks.task_data import LazyTasks, Recipe, TaskData
from narrows.benchmarks.transformations import angles
from narrows.errors import ConfigError, DataError, DatasetMissingError, UnknownNameError, nearest

_SPLITS = {
    "all": "all classes in every task",
    "classes": "disjoint classes",
    "superclasses": "a superclass in every task",
    "datasets": "a data set in every task",
}


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

    `data`: a folder, in any layout that docs/streams.md names; for a stream of several data sets, a folder
    that holds one for each; `Path("hub")` for the Hugging Face hub; None for the default folder where there
    is one. `seed` fixes the class order of split streams, the permutations, and the digits' held-out fifth.

    UnknownNameError: no such stream. ConfigError: an option which that stream does not take, or out of
    range. DatasetMissingError, DataError: no data, damaged data, or too few classes for tasks x classes.

    >>> stream = make_stream("split-digits", tasks=2)
    >>> [task.classes for task in stream.tasks], stream.input_shape
    ([('1', '9'), ('4', '3')], (1, 8, 8))
    """
    if name not in STREAMS:
        raise UnknownNameError(f"there is no stream named {name!r}: {nearest(name, STREAMS)}")
    spec = STREAMS[name]
    _check_options(spec, seed, data=data, tasks=tasks, classes=classes, image_size=image_size)
    tasks = spec.tasks if tasks is None else tasks
    sources = _sources(spec, data, seed, tasks, image_size or spec.image_size)
    order, groups = class_groups(spec, sources, seed, tasks, spec.classes if classes is None else classes)
    recipes = [
        Recipe(task_name(spec, i), sources[i % len(sources)], group, transform(spec, seed, i, tasks, sources[0].shape))
        for i, group in enumerate(groups)
    ]
    mean, std = _normalisation(spec)
    description: dict[str, Any] = {
        "stream": name,
        "dataset": spec.dataset,
        "transformation": spec.transformation,
        "split": _SPLITS[spec.split],
        "seed": seed,
        "input_shape": list(sources[0].shape),
        "normalisation": {"mean": mean, "std": std},
        "augment": spec.augment,
        "class_order": order,
        "tasks": _described(spec, recipes),
    }
    if spec.transformation == "rotation":
        description["degrees"] = angles(tasks)
    return Stream(name, LazyTasks(recipes), sources[0].shape, spec.network, spec.augment, mean, std, description)


def _check_options(spec: StreamSpec, seed: int, **options: object) -> None:
    """ConfigError for an option that this stream does not take, or one out of range."""
    takes = {
        "data": spec.data != "none",
        "tasks": True,
        "classes": spec.split == "classes",
        "image_size": spec.image_size is not None,
    }
    for option, value in options.items():
        if value is not None and not takes[option]:
            raise ConfigError(f"{spec.name} does not take the option {option}")
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{option} must be at least 1, not {value}")
    if seed < 0:
        raise ConfigError(f"seed must be zero or more, not {seed}")


def _sources(spec: StreamSpec, data: Path | None, seed: int, tasks: int, size: int | None) -> list[ImageSource]:
    """The data set; or, where each task is one, as many as there are tasks."""
    shapes = [DATASETS[name].shape for name in spec.datasets]
    channels, height, width = (max(sides) for sides in zip(*shapes, strict=True))
    shape = (channels, size or height, size or width)
    if spec.split != "datasets":
        return [open_dataset(spec.datasets[0], data, shape=shape, seed=seed)]
    if tasks > len(spec.datasets):
        raise ConfigError(f"{spec.name} has {len(spec.datasets)} tasks, one for each data set, and not {tasks}")
    holds = f"it holds a folder for each data set: {spec.dataset}"
    if data is None:
        raise DatasetMissingError(
            f"{spec.name} needs data: say --data FOLDER, where {holds}; or --data hub to download them"
        )
    sources = []
    for name in spec.datasets[:tasks]:
        place = data if data == HUB else data / name
        if data != HUB and not place.is_dir():
            raise DatasetMissingError(
                f"{spec.name}: there is no folder {place}; of the folder that --data says, {holds}"
            )
        sources.append(open_dataset(name, place, shape=shape, seed=seed))
    return sources


def _normalisation(spec: StreamSpec) -> tuple[float, float]:
    """Mean and std of the data set; of several, the means of theirs."""
    rows = [DATASETS[name] for name in spec.datasets]
    if len(rows) == 1:
        return rows[0].mean, rows[0].std
    return round(sum(row.mean for row in rows) / len(rows), 2), round(sum(row.std for row in rows) / len(rows), 2)


def _described(spec: StreamSpec, recipes: Sequence[Recipe]) -> list[dict[str, Any]]:
    """Name, classes and sizes of every task; DataError, now and not at the seventh task, for a class without
    examples."""
    views = 4 if spec.transformation == "quarter-turns" else 1
    counts: dict[ImageSource, dict[Split, list[int]]] = {
        source: {part: source.counts(part) for part in SPLITS} for source in {recipe.source for recipe in recipes}
    }
    described = []
    for recipe in recipes:
        for part in SPLITS:
            for label in recipe.classes:
                if not counts[recipe.source][part][label]:
                    raise DataError(f"{spec.name}: class {recipe.source.classes[label]!r} has no {part} examples")
        sizes: dict[str, int] = {
            part: views * sum(counts[recipe.source][part][label] for label in recipe.classes) for part in SPLITS
        }
        described.append({"name": recipe.name, "classes": [recipe.source.classes[c] for c in recipe.classes], **sizes})
    return described
