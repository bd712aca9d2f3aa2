"""Measuring the tasks of a store on examples: what they lean on, the counter-check, how alike they are.

Reads the store and changes nothing in it. Knows networks, stores and examples; where those come from: `providers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from narrows.analysis.attribution import leaning
from narrows.analysis.check_results import CheckOptions
from narrows.analysis.counter_check import counter_check
from narrows.analysis.labelled import Labelled
from narrows.analysis.measurements import Cache, LeftOut, Measurements, TaskMeasured, key_of
from narrows.analysis.similarity import Similarity, evenly, similarity
from narrows.analysis.walk import WalkedTask, walk
from narrows.errors import DataError, ModelMismatchError, UnknownNameError, nearest
from narrows.store.reader import StoreReader
from narrows.tasks import TaskStore

Progress = Callable[[str, int, int], None]
"""Called with (what is measured now, steps done, steps in all)."""

MeasuredFile = str | os.PathLike[str] | None


@dataclass(frozen=True)
class MeasureOptions:
    """How much is measured; the defaults take a few seconds for ten tasks of a small network.

    Attributes:
        examples: of each task, at most, drawn by the seed.
        check: of the counter-check.
        alike: examples of each task that features are compared on, at most.
        alike_tasks, alike_data: tasks that are compared, and tasks whose examples they are compared on, at most;
            evenly chosen where there are more.
        seed: of the sample.
        device: where it runs, as "cpu" or "cuda".
    """

    examples: int = 512
    check: CheckOptions = field(default_factory=CheckOptions)
    alike: int = 256
    alike_tasks: int = 32
    alike_data: int = 10
    seed: int = 0
    device: str = "cpu"


def measure(
    store: TaskStore,
    data: Mapping[str, Labelled],
    *,
    options: MeasureOptions | None = None,
    cache: MeasuredFile = None,
    progress: Progress | None = None,
) -> Measurements:
    """Measures the tasks that there are data for.

    Args:
        store: with its model.
        data: task -> labelled examples; looked up once for each task, so that it may read them when asked.
        cache: a file that remembers what was measured, outside the store's directory: only what has changed is measured
            again. It is written after each task.

    Raises:
        UnknownNameError: there are data for a task that the store does not have.
        DamagedStoreError: a file of the store is damaged.

    >>> import tempfile, torch, narrows
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model, head="2")
    >>> x, y = torch.randn(64, 4), torch.arange(64) % 2
    >>> with store.begin("first", narrows.IBM(density=0.5), head=2) as task:
    ...     _ = task.fit([(x, y)], narrows.Training(20))
    ...     _ = task.commit()
    >>> found = measure(store, {"first": Labelled(x, y)}).task("first")
    >>> found.examples, found.check.score, [layer.layer for layer in found.check.layers]
    (64, 'accuracy', ['0.weight'])
    """
    options = options or MeasureOptions()
    names = store.names()
    for name in data:
        if name not in names:
            raise UnknownNameError(
                f"There are data for {name!r}, and the store has no such task: {nearest(name, names)}"
            )
    return _Measuring(store, data, options, Cache(None if cache is None else Path(cache)), progress).run()


class _Measuring:
    def __init__(
        self,
        store: TaskStore,
        data: Mapping[str, Labelled],
        options: MeasureOptions,
        cache: Cache,
        progress: Progress | None,
    ) -> None:
        self.store, self.data, self.options, self.cache = store, data, options, cache
        self.progress = progress or (lambda *_: None)
        self.left_out: dict[str, str] = {}
        self.samples: dict[str, Labelled] = {}
        self.heads: dict[str, str | None] = {}
        self.weights: dict[str, str] = {}
        self.wanted = frozenset(data)  # to ask whether something is in a lazy mapping may read it
        self.done = 0

    def run(self) -> Measurements:
        tasks = tuple(self._tasks())
        alike = self._similarity([found.task for found in tasks])
        self.cache.save(finished=True)
        left_out = tuple(LeftOut(name, reason) for name, reason in self.left_out.items())
        return Measurements(tasks, alike, left_out)

    def _tasks(self) -> Iterator[TaskMeasured]:
        reader = StoreReader.open(self.store.path)
        before: list[str] = []
        for step in walk(reader, values=True):
            if step.name in self.wanted:
                self._tell(step.name)
                found = self._task(step, before)
                if found is not None:
                    yield found
            before.append(step.record.weights_sha256)

    def _task(self, step: WalkedTask, before: list[str]) -> TaskMeasured | None:
        name = step.name
        try:
            examples = self.data[name]
            sample = examples.sample(self.options.examples, self.options.seed)
            key = key_of("task", step.record.weights_sha256, before, sample.fingerprint, self.options)
            found = self.cache.get(key, TaskMeasured) or self._measured(step, sample, len(examples))
        except (DataError, ModelMismatchError) as error:
            self.left_out[name] = str(error)
            return None
        self.cache.put(key, found)
        self.cache.save(finished=False)  # what took long is not lost where the next task is interrupted
        self.samples[name] = sample.sample(self.options.alike, self.options.seed)
        self.heads[name] = None if step.record.head is None else str(step.record.head["path"])
        self.weights[name] = step.record.weights_sha256
        return found

    def _measured(self, step: WalkedTask, sample: Labelled, given: int) -> TaskMeasured:
        record, subnet = step.record, step.own
        model = self.store.load(record.name).to(self.options.device)
        start = record.metrics.get("start_accuracy")
        earlier = step.earlier if step.shares else None
        return TaskMeasured(
            task=record.name,
            examples=len(sample),
            given=given,
            start=float(start) if isinstance(start, int | float) else None,
            check=counter_check(model, subnet, sample, earlier=earlier, options=self.options.check),
            leaning=leaning(model, subnet.parts, sample),
        )

    def _similarity(self, tasks: list[str]) -> Similarity | None:
        chosen, shown = evenly(tasks, self.options.alike_tasks), evenly(tasks, self.options.alike_data)
        if len(chosen) < 2:
            return None
        self._tell("similarity")
        prints = [(name, self.samples[name].fingerprint) for name in shown]
        key = key_of("similarity", [(name, self.weights[name]) for name in chosen], prints, self.options.alike)
        found = self.cache.get(key, Similarity)
        if found is None:
            networks: dict[str, tuple[nn.Module, str | None]] = {
                name: (self.store.load(name).to(self.options.device), self.heads[name]) for name in chosen
            }
            data = {name: self.samples[name] for name in shown}
            found = similarity(networks, data, sampled=max(len(chosen), len(shown)) < len(tasks) or shown != chosen)
        self.cache.put(key, found)
        return found

    def _tell(self, what: str) -> None:
        self.progress(what, self.done, len(self.data) + 1)
        self.done += 1
