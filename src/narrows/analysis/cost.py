"""The measured figures of a plan, each with where it was read, and the plan that follows.

Reads a store, a result, or both; what neither says is assumed, and named as assumed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from narrows.analysis.forecast import Forecast
from narrows.analysis.plan import Figures
from narrows.analysis.subject import Subject
from narrows.benchmarks.results import Result
from narrows.errors import DamagedStoreError
from narrows.store.compose import weights_of
from narrows.store.reader import StoreReader

_RECENT = 5
"""Tasks whose median is what a task that comes now is taken to cost."""


@dataclass(frozen=True)
class CostFigures:
    """The figures of a plan and where each is from.

    Attributes:
        figures: the numbers.
        switch_seconds: to put together the weights of the latest task from disk, measured here and now; None without a
            store. The first use after that runs as fast as any.
        sources: by figure's name, the file and key it was read from, or why it is assumed.
        assumed: names of the figures that were not measured.
    """

    figures: Figures
    switch_seconds: float | None
    sources: Mapping[str, str]
    assumed: tuple[str, ...]


def cost_figures(subject: Subject, forecast: Forecast | None = None) -> CostFigures | None:
    """The figures of a store or run; None where no task has been learned.

    Args:
        forecast: of the same store: how many tasks still fit.

    Raises:
        DamagedStoreError: a file that is needed is damaged.
    """
    found = _Found()
    result = subject.result if subject.result and subject.result.tasks else None
    reader = subject.reader
    names = reader.steadily(lambda now: now.task_names()) if reader else ()
    if reader and names:
        _from_store(found, reader)
    elif result:
        _from_result(found, result)
    else:
        return None
    if result and result.dense_bytes:
        found.put("dense_bytes", result.dense_bytes, "result.json metrics.dense_bytes")
    if result and (ratio := result.metrics()["step_ratio"]):
        found.put("step_ratio", ratio, "result.json metrics.step_ratio")
    else:
        why = "no reference was run (`narrows run --reference`): plain training is taken to be as fast"
        found.assume("step_ratio", 1.0, why)
    _fitting(found, forecast, int(found.values["tasks"] or 0))
    switch = _switch_seconds(reader, names[-1]) if reader and names else None
    return CostFigures(Figures(**found.values), switch, found.sources, tuple(found.assumed))  # type: ignore[arg-type]


class _Found:
    """Figures while they are gathered."""

    def __init__(self) -> None:
        self.values: dict[str, float | None] = {}
        self.sources: dict[str, str] = {}
        self.assumed: list[str] = []

    def put(self, name: str, value: float | None, source: str) -> None:
        self.values[name], self.sources[name] = value, source

    def assume(self, name: str, value: float | None, why: str) -> None:
        self.put(name, value, f"assumed: {why}")
        self.assumed.append(name)


def _from_store(found: _Found, reader: StoreReader) -> None:
    records = reader.steadily(StoreReader.records)
    store_bytes = reader.steadily(StoreReader.bytes_total)
    sizes = [float(record.bytes) for record in records]
    once = [reader.header.base, reader.header.carry, reader.header.snapshot]
    found.put("tasks", len(records), "store.json tasks")
    found.put("dense_bytes", reader.header.base.bytes, "store.json base.bytes")
    found.put("store_bytes", store_bytes, "all files of the store, measured")
    found.put("base_bytes", sum(ref.bytes for ref in once if ref), "store.json base, carry and snapshot .bytes")
    _sizes(found, sizes, "sizes of tasks/*/, task.json and its blobs.bytes")
    seconds = [record.seconds for record in records if record.seconds]
    if seconds:
        source = f"tasks/*/task.json seconds, median of {len(seconds[-_RECENT:])} tasks"
        found.put("task_hours", statistics.median(seconds[-_RECENT:]) / 3600, source)
    else:
        found.assume("task_hours", 0.0, "no task.json has seconds: training is left out")


def _from_result(found: _Found, result: Result) -> None:
    sizes = [float(task.bytes) for task in result.tasks]
    found.put("tasks", len(sizes), "result.json tasks")
    found.put("dense_bytes", result.dense_bytes, "result.json metrics.dense_bytes")
    why = "there is no store: what it holds once is taken to be one dense network"
    found.assume("base_bytes", result.dense_bytes, why)
    found.assume("store_bytes", result.dense_bytes + sum(sizes), f"{why}, beside tasks[].bytes")
    _sizes(found, sizes, "result.json tasks[].bytes")
    seconds = [task.seconds for task in result.tasks][-_RECENT:]
    source = f"result.json tasks[].seconds, median of {len(seconds)} tasks"
    found.put("task_hours", statistics.median(seconds) / 3600, source)


def _sizes(found: _Found, sizes: list[float], source: str) -> None:
    """Bytes of the first task and of one that comes now, and how they grow.

    The first, which has nothing to reuse, tells nothing of the later ones where there are others.
    """
    later = sizes[1:] or sizes
    recent = later[-_RECENT:]
    found.put("first_task_bytes", sizes[0], f"{source}: the first")
    found.put("task_bytes", statistics.median(recent), f"{source}: median of the latest {len(recent)}")
    if len(later) < _RECENT:
        found.assume("task_bytes_growth", 0.0, f"{len(later)} tasks are too few to see a trend")
        return
    slope = float(np.polyfit(np.arange(len(later)), np.array(later), 1)[0])
    found.put("task_bytes_growth", round(slope, 3), f"{source}: slope of the least-squares line, by task")


def _fitting(found: _Found, forecast: Forecast | None, tasks: int) -> None:
    if forecast is None:
        found.assume("tasks_per_network", None, "there is no forecast: all tasks are taken to fit in one network")
    elif forecast.fits.median is None:
        source = f"forecast: more than {forecast.horizon} more tasks fit"
        found.put("tasks_per_network", None, source)
    else:
        low, high = forecast.fits.low, forecast.fits.high
        spread = f"{low:g} to {high:g}" if high is not None and low is not None else f"{low or 0:g} or more"
        source = f"forecast from the masks: {forecast.fits.median:g} more tasks fit ({spread})"
        if forecast.refines:
            source += "; its method can go on after that, by refining alone"
        found.put("tasks_per_network", max(1, tasks + int(forecast.fits.median)), source)


def _switch_seconds(reader: StoreReader, name: str) -> float | None:
    """Seconds to put together a task's weights, the median of three, or of fewer where one takes long.

    None where a file that it takes is damaged: no figure of the plan rests on it.
    """
    taken: list[float] = []
    while len(taken) < 3 and sum(taken) < 1:
        started = time.perf_counter()
        try:
            reader.steadily(lambda now: weights_of(now, name))
        except DamagedStoreError:
            return None
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 4)
