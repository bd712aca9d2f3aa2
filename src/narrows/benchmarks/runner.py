"""Learning a stream of tasks one after another, every old task re-measured from the store after each.

A method with `together` learns all at once instead (`together.py`) and is measured at the end.

A run leaves DIR/result.json and DIR/store/, and goes on at the task it was in where it was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from narrows.benchmarks.environment import StepClock, environment
from narrows.benchmarks.holdout import first_tasks, held_out
from narrows.benchmarks.joint_trackers import ALL, following
from narrows.benchmarks.options import RunOptions, with_defaults
from narrows.benchmarks.results import Reference, Result, Row
from narrows.benchmarks.run_listener import ForReference, RunListener, SilentRun
from narrows.benchmarks.stream_data import HEAD, StreamData
from narrows.benchmarks.streams import Stream, make_stream
from narrows.benchmarks.task_rows import accuracies, task_row, used_after
from narrows.benchmarks.together import Member, learn_together
from narrows.errors import ConfigError, StoreError
from narrows.methods import Independent
from narrows.tasks import TaskStore
from narrows.tasks.heads import Head
from narrows.tasks.sharing import shared_specs
from narrows.trackers import LiveFile, Tracker, Trackers
from narrows.training import Schedule, accuracy
from narrows.training.metrics import average_accuracy

TRAINED = "trained.safetensors"
LIVE = "live.jsonl"
"""In the folder of a run: its training as it goes on."""


def run(
    options: RunOptions, out: Path, listener: RunListener | None = None, trackers: Iterable[Tracker] = ()
) -> Result:
    """Learns the stream into `out`, or goes on with the run that is there.

    Args:
        trackers: told how each task's training goes, as is the file `out`/live.jsonl (`narrows.trackers.read_live`).
            A reference has a live file of its own, and other trackers are not told of it.

    Raises:
        ConfigError: `out` holds another run, or an option is wrong.
        CapacityError: the method cannot learn so many tasks; nothing is trained.
        DatasetMissingError, DataError: the stream's data.
        StoreError: the store is locked or damaged.
    """
    listener = listener or SilentRun()
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
    return _Runner(with_defaults(options), stream, out, listener, trackers).run()


class _Runner:
    def __init__(
        self, options: RunOptions, stream: Stream, out: Path, listener: RunListener, trackers: Iterable[Tracker] = ()
    ) -> None:
        self.options, self.stream, self.out, self.listener = options, stream, out, listener
        self._others = tuple(trackers)
        self.training = options.training()
        self.material = StreamData(options, stream)
        self.result = self._fresh_result()

    def run(self) -> Result:
        self._require_capacity()
        self._resume_result()
        self.out.mkdir(parents=True, exist_ok=True)
        self._save()  # before the store: what is in this folder has a name from the start
        self.store = self._store()
        self.trackers = Trackers([LiveFile(self.out / LIVE, anew=not self.store.tasks()), *self._others])
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
        sizes = [spec.numel for spec in shared_specs(self.material.base_network(), [HEAD])]
        self.options.method.check_tasks(len(self.stream.tasks), sizes)

    def _run_in_turn(self) -> None:
        self._catch_up()
        for index in range(len(self.store.tasks()), len(self.stream.tasks)):
            self._learn(index)
            self._measure(index)
            self._save()
            self.listener.learned(self.result)

    def _run_together(self) -> None:
        """Learns all tasks at once and measures them when they are in the store, if they are not yet."""
        self._require_own_tasks()
        trained, count = self.out / TRAINED, len(self.stream.tasks)
        if not self.result.tasks:
            if len(self.store.tasks()) < count:
                method, members = self.options.method, [self._member(index) for index in range(count)]
                total = self.training.steps(sum(len(member.batches) for member in members))
                schedule = Schedule(total_steps=total, epochs=self.training.epochs, lr=self.training.lr, cosine=True)
                listening = self.listener.training(ALL, 1, 1)
                learn_together(
                    self.store,
                    method,
                    members,
                    trained,
                    identity=self.result.identity(),
                    training=self.training,
                    seed=self.options.seed,
                    device=self.options.device,
                    listening=following(self.trackers, method, schedule, listening),
                )
            self._measure_together()
            self._save()
            self.listener.learned(self.result)
        trained.unlink(missing_ok=True)

    def _member(self, index: int) -> Member:
        data = self.stream.tasks[index]
        head = self.material.head(index)
        network = self.material.base_network()
        setattr(network, HEAD, head)
        untrained = self.material.untrained(head, self.material.test_batches(data))
        return Member(
            data.name, network, HEAD, self.material.train_batches(index), untrained, self.material.data(index)
        )

    def _learn(self, index: int) -> None:
        data = self.stream.tasks[index]
        head = self.material.head(index)
        test = self.material.test_batches(data)
        untrained = self.material.untrained(head, test)
        train = self.material.train_batches(index)
        with (
            self.store.begin(data.name, self.options.method, head=Head(HEAD, head)) as task,
            self.listener.training(data.name, index + 1, len(self.stream.tasks)) as callback,
        ):
            task.model.to(self.options.device)
            start = accuracy(task.model, test)
            clock = StepClock(self.options.device)
            callbacks = [clock, *([callback] if callback else [])]
            fit = task.fit(train, self.training, progress=False, callbacks=callbacks, trackers=self.trackers)
            task.commit(
                metrics={
                    "start_accuracy": start,
                    "untrained": untrained,
                    "steps": fit.steps,
                    "step_seconds": clock.median(),
                    "losses": [round(loss, 5) for loss in fit.losses],
                },
                data=self.material.data(index),
            )

    def _measure(self, index: int) -> None:
        """Adds row `index` of R, every task loaded from the store, and the account of the task."""
        records = self.store.tasks()[: index + 1]
        row = accuracies(self.store, records, self.material)
        record = records[index]
        if index:
            self.result.rows[index - 1][index] = record.metrics["start_accuracy"]
        self.result.rows.append(row)
        self.result.tasks.append(task_row(self.store, record, row[index] or 0.0, used_after(self.store, index)))
        for j, task in enumerate(self.result.tasks):
            task.accuracy_now = row[j] or 0.0

    def _measure_together(self) -> None:
        """The last row of R and every task's account; before all were trained there was nothing to measure."""
        records = self.store.tasks()
        row = accuracies(self.store, records, self.material)
        nothing: list[Row] = [[None] * len(records) for _ in records[1:]]
        self.result.rows = [*nothing, row]
        self.result.tasks = [
            task_row(self.store, record, row[j] or 0.0, used_after(self.store, j)) for j, record in enumerate(records)
        ]

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
            ours = (
                index < len(self.stream.tasks) and record.data == self.material.data(index)
            ) and record.method == method
            if not ours:
                raise ConfigError(f"{self.out}/store holds tasks of another run; use another --out.")

    def _reference(self) -> Reference:
        """One dense network per task, trained with the same data, network, batches and epochs."""
        options = replace(self.options, method=Independent(), lr=Independent.learning_rate, reference=False)
        result = _Runner(options, self.stream, self.out / "reference", ForReference(self.listener)).run()
        return {
            "accuracy": [task.accuracy for task in result.tasks],
            "ACC": average_accuracy(result.rows),
            "lr": Independent.learning_rate,
            "seconds": sum(task.seconds for task in result.tasks),
            "step_seconds": result.step_seconds(),
        }

    def _store(self) -> TaskStore:
        path = self.out / "store"
        if (path / "store.json").exists():
            return TaskStore.open(path, self.material.base_network())
        return TaskStore.create(path, self.material.base_network(), head=HEAD)

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
        net = self.material.base_network()
        return Result(
            stream=self.stream.name,
            method=self.options.method.name,
            config={
                "method": json.loads(json.dumps(self.options.method.config())),  # lists for tuples, as it is read back
                **self.training.terms(),
                "batch_size": self.training.batch_size,
                "optimizer": "Adam",
                "schedule": "cosine to 0 over each task",
                "network": self.options.network,
                **({} if self.options.holdout is None else {"holdout": self.options.holdout}),
            },
            seed=self.options.seed,
            environment=environment(self.options.device),
            stream_description=self.stream.description,
            dense_bytes=sum(tensor.nbytes for tensor in net.state_dict().values()),
        )
