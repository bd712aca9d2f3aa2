"""Where labelled examples come from: the stream of a benchmark run, made again, or files of the user's own.

Examples are read when they are asked for. Knows results, streams, stores and schemas; measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from narrows.analysis.inputs import TaskInputs
from narrows.analysis.labelled import Labelled
from narrows.benchmarks.holdout import first_tasks, held_out
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.results import Result
from narrows.benchmarks.stream_data import TEST_BATCH, StreamData
from narrows.benchmarks.streams import Stream, make_stream, stream_names
from narrows.data import DataOptions
from narrows.errors import DataError, StoreMissingError, UnknownNameError, nearest
from narrows.methods import make_method
from narrows.production import open_store
from narrows.production.learning_data import Source, in_order, read_for
from narrows.production.tasks import schema_of
from narrows.tasks import TaskStore


class LazyData(Mapping[str, Labelled]):
    """task -> labelled examples, read when asked for, and not kept."""

    def __init__(self, read: Mapping[str, Callable[[], Labelled]]) -> None:
        self._read = dict(read)

    def __getitem__(self, task: str) -> Labelled:
        return self._read[task]()

    def __contains__(self, task: object) -> bool:
        return task in self._read

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


def run_subject(folder: Path, data: Path | None = None) -> tuple[TaskStore, LazyData]:
    """The store of a `narrows run` and the test data of its tasks, the stream made again from result.json.

    Args:
        folder: with result.json and store/.
        data: the folder of the stream's data, or `Path("hub")`, as `narrows run --data` takes it.

    Raises:
        StoreError: no result, or no store, or they are damaged.
        DatasetMissingError, DataError: no data, or others than those of the run; says what differs.
        UnknownNameError, ConfigError: a result of a stream or network that this narrows does not have.
    """
    if not (folder / "result.json").exists():
        raise StoreMissingError(f"There is no result.json in {folder}: say the folder of a `narrows run`.")
    result = Result.load(folder / "result.json")
    material = _material(result, data)
    store = TaskStore.open(folder / "store", material.base_network())
    names = store.names()
    return store, LazyData(
        {
            task["name"]: _of_stream(material, index)
            for index, task in enumerate(_tasks(result))
            if task["name"] in names
        }
    )


def store_subject(
    path: Path, sources: Mapping[str, Source], *, options: DataOptions | None = None, trust: bool = False
) -> tuple[TaskStore, LazyData]:
    """A store of a model in production with its network, and data of the user's for some of its tasks.

    Args:
        sources: task -> data with targets; read with the schema that the task was learned with.
        options: only `bad` counts, and `features`; see `narrows.data.read_with`.
        trust: see `narrows.production.open_store`.

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        UntrustedModelError, ModelBuildError, StoreError: see `open_store`.

    Data that do not fit are refused when they are read; `measure` then leaves the task out and says why.
    """
    store = open_store(path, trust=trust)
    names = store.names()
    for name in sources:
        if name not in names:
            raise UnknownNameError(f"The store {path} holds no task {name!r}: {nearest(name, names)}")
    return store, LazyData(
        {name: _of_source(store, name, source, options or DataOptions()) for name, source in sources.items()}
    )


def cache_file(path: Path) -> Path:
    """Where measurements of a run's folder or a store are remembered: in the folder of the run, beside the store.

    >>> cache_file(Path("stores/shop")).as_posix()
    'stores/.shop.measured.json'
    """
    if (path / "result.json").exists():
        return path / "measured.json"
    return path.parent / f".{path.name}.measured.json"


def _of_stream(material: StreamData, index: int) -> Callable[[], Labelled]:
    def read() -> Labelled:
        task = material.stream.tasks[index]
        batches = list(material.test_batches(task))
        x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return Labelled(
            x, y, names=task.classes, inputs=TaskInputs.of_shape(material.stream.input_shape), batch=TEST_BATCH
        )

    return read


def _of_source(store: TaskStore, name: str, source: Source, options: DataOptions) -> Callable[[], Labelled]:
    def read() -> Labelled:
        schema = schema_of(store, name)
        batches = list(in_order(schema, read_for(schema, source, options, targets=True)))
        x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return Labelled(x, y, schema.target.kind, schema.target.names, TaskInputs.of_schema(schema))

    return read


def _material(result: Result, data: Path | None) -> StreamData:
    """The run's stream and network. DataError where they cannot be made as they were."""
    config, description = result.config, result.stream_description
    try:
        stream = _same_stream(result, data)
        options = RunOptions(
            result.stream,
            make_method(result.method, {}),
            batch_size=config["batch_size"],
            network=config["network"],
            seed=result.seed,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"result.json does not say how its stream was made ({error}): run it again.") from error
    return StreamData(options, replace(stream, description=description))


def _same_stream(result: Result, data: Path | None) -> Stream:
    """The stream that has the result's description."""
    specs = stream_names()
    if result.stream not in specs:
        raise UnknownNameError(f"There is no stream named {result.stream!r}: {nearest(result.stream, specs)}")
    spec, description = specs[result.stream], result.stream_description
    count = len(description["tasks"])
    options: dict[str, Any] = {"data": data, "seed": result.seed}
    if spec.split == "classes":
        options["classes"] = len(description["tasks"][0]["classes"])
    if spec.image_size is not None:
        options["image_size"] = description["input_shape"][-1]
    different: list[str] = []
    # A run of the first tasks of a stream does not say of how many: as many as it has, or as the table has.
    for tasks in dict.fromkeys((count, max(count, spec.tasks))):
        stream = make_stream(result.stream, tasks=tasks, **options)
        stream = stream if tasks == count else first_tasks(stream, count)
        if "holdout" in result.config:
            stream = held_out(stream, result.config["holdout"], result.seed)
        different = [key for key in description if stream.description.get(key) != description[key]]
        if not different:
            return stream
    raise DataError(
        f"The data are not those of the run: {', '.join(different)} of result.json's stream_description would differ. "
        "Say the folder that the run learned from."
    )


def _tasks(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.stream_description["tasks"]
    return found
