"""Learning a stream of tasks one after another, every old task re-measured from the store after each.

A method with `together` learns all at once instead (`together.py`) and is measured at the end.

A run leaves DIR/result.json and DIR/store/, and goes on at the task it was in where it was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from narrows.benchmarks.batches import Batches
from narrows.benchmarks.environment import StepClock, environment
from narrows.benchmarks.holdout import first_tasks, held_out
from narrows.benchmarks.networks import make_network
from narrows.benchmarks.options import RunOptions, with_defaults
from narrows.benchmarks.results import Result, Row, TaskRow
from narrows.benchmarks.streams import Stream, make_stream
from narrows.benchmarks.task_data import TaskData
from narrows.benchmarks.together import Member, learn_together
from narrows.errors import ConfigError, StoreError
from narrows.methods import Independent
from narrows.store import TaskRecord
from narrows.tasks import TaskStore
from narrows.tasks.partition import shared_specs
from narrows.training import Callback, accuracy
from narrows.training.metrics import average_accuracy

HEAD = "head"
TRAINED = "trained.safetensors"
TEST_BATCH = 500


class Watcher(Protocol):
    """Is told how a run goes."""

    def training(self, name: str, number: int, count: int) -> AbstractContextManager[Callback | None]:
        """Entered while task `number` of `count`, from 1, trains; gives a callback for its steps."""

    def learned(self, result: Result) -> None:
        """A task was learned and all tasks measured."""


class Silent:
    """Watches without a word."""

    @contextmanager
    def training(self, name: str, number: int, count: int) -> Iterator[Callback | None]:  # noqa: ARG002
        yield None

    def learned(self, result: Result) -> None:
        """Says nothing."""


class _ForReference:
    """Watches the dense networks of a reference train, under a name that tells them from the run itself."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def training(self, name: str, number: int, count: int) -> AbstractContextManager[Callback | None]:
        return self._watcher.training(f"{name}, dense", number, count)

    def learned(self, result: Result) -> None:
        """Not of the run: nothing is told."""


def run(options: RunOptions, out: Path, watcher: Watcher | None = None) -> Result:
    """Learns the stream into `out`, or goes on with the run that is there.

    Raises:
        ConfigError: `out` holds another run, or an option is wrong.
        CapacityError: the method cannot learn so many tasks; nothing is trained.
        DatasetMissingError, DataError: the stream's data.
        StoreError: the store is locked or damaged.
    """
    watcher = watcher or Silent()
    stream = make_stream(
        options.stream,
        data=options.data,
        seed=options.seed,
        tasks=options.tasks,
        classes=options.classes,
        image_size=options.image_size,
    )
    if options.first is not None:
        stream = first_tasks(stream, options.first)
    if options.holdout is not None:
        stream = held_out(stream, options.holdout, options.seed)
    runner = _Runner(with_defaults(options), stream, out, watcher)
    return runner.run()


class _Runner:
    def __init__(self, options: RunOptions, stream: Stream, out: Path, watcher: Watcher) -> None:
        self.options, self.stream, self.out, self.watcher = options, stream, out, watcher
        # with_defaults has filled these in
        self.epochs, self.batch_size = options.epochs or 0, options.batch_size or 0
        self.lr, self.network = options.lr or 0.0, options.network or ""
        self.result = self._fresh_result()

    def run(self) -> Result:
        self._require_capacity()
        self._resume_result()
        self.out.mkdir(parents=True, exist_ok=True)
        self._save()  # before the store: what is in this folder has a name from the start
        self.store = self._store()
        if self.options.method.together:
            self._run_together()
        else:
            self._run_in_turn()
        if self.options.reference and self.result.reference is None:
            self.result.reference = self._reference()
        self.result.complete = True
        self._save()
        return self.result

    def _require_capacity(self) -> None:
        """Says that a stream is too long for the method before anything is trained or written."""
        sizes = [spec.numel for spec in shared_specs(self._base_network(), [HEAD])]
        self.options.method.check_tasks(len(self.stream.tasks), sizes)

    def _run_in_turn(self) -> None:
        self._catch_up()
        for index in range(len(self.store.tasks()), len(self.stream.tasks)):
            self._learn(index)
            self._measure(index)
            self._save()
            self.watcher.learned(self.result)

    def _run_together(self) -> None:
        """Learns all tasks at once and measures them when they are in the store, if they are not yet."""
        self._require_own_tasks()
        trained, count = self.out / TRAINED, len(self.stream.tasks)
        if not self.result.tasks:
            if len(self.store.tasks()) < count:
                learn_together(
                    self.store,
                    self.options.method,
                    [self._member(index) for index in range(count)],
                    trained,
                    identity=self.result.identity(),
                    epochs=self.epochs,
                    lr=self.lr,
                    seed=self.options.seed,
                    device=self.options.device,
                    training=self.watcher.training("all tasks", 1, 1),
                )
            self._measure_together()
            self._save()
            self.watcher.learned(self.result)
        trained.unlink(missing_ok=True)

    def _member(self, index: int) -> Member:
        data = self.stream.tasks[index]
        head = self._head(index)
        network = self._base_network()
        setattr(network, HEAD, head)
        untrained = self._untrained(head, self._test_batches(data))
        return Member(data.name, network, HEAD, self._train_batches(index), untrained, self._data(index))

    def _learn(self, index: int) -> None:
        data = self.stream.tasks[index]
        head = self._head(index)
        test = self._test_batches(data)
        untrained = self._untrained(head, test)
        train = self._train_batches(index)
        with (
            self.store.begin(data.name, self.options.method, head=(HEAD, head)) as task,
            self.watcher.training(data.name, index + 1, len(self.stream.tasks)) as callback,
        ):
            task.model.to(self.options.device)
            start = accuracy(task.model, test)
            clock = StepClock(self.options.device)
            callbacks = [clock, *([callback] if callback else [])]
            fit = task.fit(train, self.epochs, lr=self.lr, progress=False, callbacks=callbacks)
            task.commit(
                metrics={
                    "start_accuracy": start,
                    "untrained": untrained,
                    "steps": fit.steps,
                    "step_seconds": clock.median(),
                    "losses": [round(loss, 5) for loss in fit.losses],
                },
                data=self._data(index),
            )

    def _measure(self, index: int) -> None:
        """Adds row `index` of R, every task loaded from the store, and the account of the task."""
        records = self.store.tasks()[: index + 1]
        row = self._accuracies(records)
        record = records[index]
        if index:
            self.result.rows[index - 1][index] = record.metrics["start_accuracy"]
        self.result.rows.append(row)
        self.result.tasks.append(self._task_row(record, row[index] or 0.0, self._used_after(index)))
        for j, task in enumerate(self.result.tasks):
            task.accuracy_now = row[j] or 0.0

    def _measure_together(self) -> None:
        """The last row of R and every task's account; before all were trained there was nothing to measure."""
        records = self.store.tasks()
        row = self._accuracies(records)
        nothing: list[Row] = [[None] * len(records) for _ in records[1:]]
        self.result.rows = [*nothing, row]
        self.result.tasks = [
            self._task_row(record, row[j] or 0.0, self._used_after(j)) for j, record in enumerate(records)
        ]

    def _accuracies(self, records: Sequence[TaskRecord]) -> Row:
        """A row of R: the tasks loaded from the store and measured."""
        row: Row = [None] * len(self.stream.tasks)
        for j, record in enumerate(records):
            model = self.store.load(record.name).to(self.options.device)
            row[j] = accuracy(model, self._test_batches(self.stream.tasks[j]))
        return row

    def _used_after(self, index: int) -> float:
        """Used capacity once task `index` was learned: what the tasks up to it claimed."""
        total = sum(spec.numel for spec in self.store.shared)
        records = self.store.tasks()[: index + 1]
        claimed: list[float] = [sum(layer["claimed"] for layer in record.layers.values()) / total for record in records]
        return max(claimed) if self.options.method.isolation == "none" else sum(claimed)

    def _task_row(self, record: TaskRecord, measured: float, used: float) -> TaskRow:
        layers = self.store.explain(record.name)
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
            bytes=self.store.directory.bytes_of(record.name),
            seconds=record.metrics.get("seconds", record.seconds or 0.0),
            step_seconds=record.metrics["step_seconds"],
            start_accuracy=record.metrics["start_accuracy"],
            untrained=record.metrics["untrained"],
            layers={layer.name: layer.density for layer in layers},
        )

    def _catch_up(self) -> None:
        """Measures what was committed but not yet measured when the run was cut off."""
        self._require_own_tasks()
        done, measured = len(self.store.tasks()), len(self.result.rows)
        if measured > done:
            raise StoreError(f"{self.out} holds figures of {measured} tasks and a store of {done}; use another --out.")
        if done - measured > 1 and self.options.method.isolation == "none":
            raise StoreError(
                f"The figures of {self.out} are gone and {self.options.method.name} overwrote what they measured; "
                "use another --out."
            )
        for index in range(measured, done):
            self._measure(index)

    def _require_own_tasks(self) -> None:
        """A store whose result.json was deleted must still be this run's."""
        method = {"name": self.options.method.name, "config": self.result.config["method"]}
        for index, record in enumerate(self.store.tasks()):
            ours = (index < len(self.stream.tasks) and record.data == self._data(index)) and record.method == method
            if not ours:
                raise ConfigError(f"{self.out}/store holds tasks of another run; use another --out.")

    def _data(self, index: int) -> dict[str, Any]:
        """What is written down of a task's data."""
        described: dict[str, Any] = self.stream.description["tasks"][index]
        return described | {"stream": self.stream.name, "seed": self.options.seed}

    def _reference(self) -> dict[str, Any]:
        """One dense network per task, trained with the same data, network, batches and epochs."""
        options = replace(self.options, method=Independent(), lr=Independent.learning_rate, reference=False)
        result = _Runner(options, self.stream, self.out / "reference", _ForReference(self.watcher)).run()
        return {
            "accuracy": [task.accuracy for task in result.tasks],
            "ACC": average_accuracy(result.rows),
            "lr": Independent.learning_rate,
            "seconds": sum(task.seconds for task in result.tasks),
            "step_seconds": result.step_seconds(),
        }

    def _untrained(self, head: nn.Module, test: Batches) -> float:
        model = self._base_network()
        setattr(model, HEAD, head)
        return accuracy(model.to(self.options.device), test)

    def _head(self, index: int) -> nn.Module:
        """Task `index`'s head, untrained; seeds the global generator for the task."""
        torch.manual_seed(self._seed(index))
        net = make_network(self.network, self.stream.input_shape, len(self.stream.tasks[index].classes))
        head: nn.Module = getattr(net, HEAD)
        return head

    def _train_batches(self, index: int) -> Batches:
        data = self.stream.tasks[index]
        return Batches(
            data.train_x,
            data.train_y,
            self.batch_size,
            shuffle=True,
            generator_seed=self._seed(index),
            augment=self.stream.augment,
            mean=self.stream.mean,
            std=self.stream.std,
            device=self.options.device,
        )

    def _test_batches(self, data: TaskData) -> Batches:
        mean, std = self.stream.mean, self.stream.std
        return Batches(
            data.test_x, data.test_y, TEST_BATCH, shuffle=False, mean=mean, std=std, device=self.options.device
        )

    def _base_network(self) -> nn.Module:
        """The network all tasks share, drawn from the seed without disturbing the global generator."""
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.options.seed)
            return make_network(self.network, self.stream.input_shape, len(self.stream.tasks[0].classes))

    def _store(self) -> TaskStore:
        path = self.out / "store"
        if (path / "store.json").exists():
            return TaskStore.open(path, self._base_network())
        return TaskStore.create(path, self._base_network(), private=[HEAD])

    def _seed(self, index: int) -> int:
        return self.options.seed * 10_007 + index + 1

    def _save(self) -> None:
        self.result.save(self.out / "result.json")

    def _resume_result(self) -> None:
        path = self.out / "result.json"
        if not path.exists():
            return
        found = Result.load(path)
        ours, theirs = self.result.identity(), found.identity()
        different = [key for key in ours if ours[key] != theirs[key]]
        if different:
            raise ConfigError(
                f"{self.out} holds another run: {', '.join(different)} differ. Use another --out, or the same options "
                "to go on with it."
            )
        self.result.rows, self.result.tasks, self.result.reference = found.rows, found.tasks, found.reference
        self.result.environment = found.environment

    def _fresh_result(self) -> Result:
        net = self._base_network()
        return Result(
            stream=self.stream.name,
            method=self.options.method.name,
            config={
                "method": json.loads(json.dumps(self.options.method.config())),  # lists for tuples, as it is read back
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "lr": self.lr,
                "optimizer": "Adam",
                "schedule": "cosine to 0 over each task",
                "network": self.network,
                **({} if self.options.holdout is None else {"holdout": self.options.holdout}),
            },
            seed=self.options.seed,
            environment=environment(self.options.device),
            stream_description=self.stream.description,
            dense_bytes=sum(tensor.nbytes for tensor in net.state_dict().values()),
        )
