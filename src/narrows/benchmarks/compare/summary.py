"""The figures of a grid: what each variant got over the seeds, what was tuned, what failed.

Computed anew from the results of the runs each time; knows no process, storage or file.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, TypedDict

from narrows.benchmarks.compare.spec import DENSE, Variant
from narrows.json_values import EACH

Result = Mapping[str, Any]
"""Contents of a result.json."""

_TAKEN = ("ACC", "BWT", "forgetting", "fwt_gem", "density", "used", "bytes_per_task", "dense_bytes", "seconds")
FIGURES = (*_TAKEN, "fwt_independent", "step_seconds", "step_ratio", "seconds_ratio")
VERSION = 1


@dataclass(frozen=True)
class Figure:
    """A figure over the seeds, in the order of the row's seeds.

    Attributes:
        mean: of the values there are; None where there is none.
        se: standard error of the mean; None with fewer than two values.
        values: one a seed; None where the run has no such figure.
    """

    mean: float | None
    se: float | None
    values: tuple[float | None, ...]

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Figure:
        """
        >>> Figure.of([1.0, 3.0, None])
        Figure(mean=2.0, se=1.0, values=(1.0, 3.0, None))
        """
        known = [value for value in values if value is not None]
        error = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else None
        return cls(statistics.fmean(known) if known else None, error, tuple(values))


class Trial(TypedDict):
    """What tuning tried: `values`, its `accuracy` on held-out data (None: failed), and the `reason` of a failure."""

    values: Mapping[str, float]
    accuracy: float | None
    reason: str


class Failure(TypedDict):
    """A job that failed, and why."""

    job: str
    reason: str


class RunAccount(TypedDict):
    """A run that is done: its row and seed, who did it where, and what it measured."""

    label: str
    epochs: int
    seed: int
    worker: str
    config: dict[str, Any]
    environment: dict[str, Any]
    R: list[list[float | None]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A variant with a length of training.

    Attributes:
        label, method, settings, epochs: what was run.
        lr: the learning rate of its runs; None before the first.
        values: what tuning picked; empty where nothing was tuned.
        tried: what tuning tried.
        seeds: whose runs are done, in order.
        asked: how many runs were asked for.
        figures: by name; those of result.json, and against the dense reference of the same seed and epochs
            `fwt_independent`, `step_ratio` and `seconds_ratio`.
        tasks: names of the tasks.
        accuracy, used: after the last task the accuracy of each task; capacity in use after each task.
    """

    label: str
    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    epochs: int
    lr: float | None
    values: Mapping[str, float] = field(default_factory=dict)
    tried: Annotated[tuple[Trial, ...], EACH] = ()
    seeds: tuple[int, ...]
    asked: int
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tasks: tuple[str, ...]
    accuracy: tuple[Figure, ...] = ()
    used: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Ran:
    """A run that is done: its seed, its result, the worker that did it."""

    seed: int
    result: Result
    worker: str


@dataclass(frozen=True)
class Cell:
    """What is known of a variant with a length of training."""

    variant: Variant
    epochs: int
    asked: int
    values: Mapping[str, float] = field(default_factory=dict)
    tried: tuple[Trial, ...] = ()
    runs: tuple[Ran, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A grid's figures, as they stand.

    Attributes:
        grid: its identity: stream, tasks, network, protocol of tuning.
        rows: in the order asked for.
        failures: the jobs that failed.
        left: jobs neither done nor failed.
        runs: those that are done.
        notes: what a reader must know.
        command: that printed it.
    """

    grid: Mapping[str, Any] = field(default_factory=dict)
    rows: Annotated[tuple[Row, ...], EACH] = ()
    failures: Annotated[tuple[Failure, ...], EACH] = ()
    left: int = 0
    runs: Annotated[tuple[RunAccount, ...], EACH] = ()
    notes: Annotated[tuple[str, ...], EACH] = ()
    command: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything asked for is done."""
        return not self.left and not self.failures

    def to_json(self) -> dict[str, Any]:
        """The contents of compare.json."""
        return {"format": "narrows-comparison", "version": VERSION, "complete": self.complete, **asdict(self)}


def summarise_row(cell: Cell, dense: Mapping[int, Result]) -> Row:
    """The row of a cell. `dense`: results of the dense reference of the same length of training, by seed."""
    runs = sorted(cell.runs, key=lambda ran: ran.seed)
    found = [_figures(ran.result, dense.get(ran.seed)) for ran in runs]
    tasks = tuple(task["name"] for task in runs[0].result["tasks"]) if runs else ()
    return Row(
        label=cell.variant.label,
        method=cell.variant.method,
        settings=dict(cell.variant.settings),
        epochs=cell.epochs,
        lr=runs[0].result["config"]["lr"] if runs else None,
        values=dict(cell.values),
        tried=cell.tried,
        seeds=tuple(ran.seed for ran in runs),
        asked=cell.asked,
        figures={name: Figure.of([figures[name] for figures in found]) for name in FIGURES},
        tasks=tasks,
        accuracy=tuple(Figure.of([ran.result["R"][-1][i] for ran in runs]) for i in range(len(tasks))),
        used=tuple(Figure.of([ran.result["tasks"][i]["used"] for ran in runs]) for i in range(len(tasks))),
    )


def summarise(
    grid: Mapping[str, Any],
    cells: Sequence[Cell],
    failures: Sequence[Failure],
    left: int,
    notes: Sequence[str] = (),
    command: Sequence[str] = (),
) -> Comparison:
    """All figures of a grid."""
    dense: dict[int, dict[int, Result]] = {}
    for cell in reversed(cells):  # of several dense variants the first one asked for is the reference
        if cell.variant.method == DENSE:
            dense.setdefault(cell.epochs, {}).update({ran.seed: ran.result for ran in cell.runs})
    return Comparison(
        grid=dict(grid),
        rows=tuple(summarise_row(cell, dense.get(cell.epochs, {})) for cell in cells),
        failures=tuple(failures),
        left=left,
        runs=tuple(_account(cell, ran) for cell in cells for ran in cell.runs),
        notes=(*notes, *_notes_on_machines(cells), *_notes_on_options(cells)),
        command=tuple(command),
    )


def _figures(result: Result, dense: Result | None) -> dict[str, float | None]:
    metrics = result["metrics"]
    figures: dict[str, float | None] = {name: metrics.get(name) for name in _TAKEN}
    step = _step_seconds(result)
    dense_step = _step_seconds(dense) if dense else None
    dense_seconds = dense["metrics"]["seconds"] if dense else None
    return figures | {
        "fwt_independent": _transfer(result, dense) if dense else None,
        "step_seconds": step,
        "step_ratio": step / dense_step if step and dense_step else None,
        "seconds_ratio": metrics["seconds"] / dense_seconds if dense_seconds else None,
    }


def _transfer(result: Result, dense: Result) -> float | None:
    """FWT against separate training: mean of R[i][i] - S[i]; None where the diagonal was not measured."""
    pairs = [(result["R"][i][i], task["accuracy"]) for i, task in enumerate(dense["tasks"])]
    if any(learned is None for learned, _ in pairs):
        return None
    return statistics.fmean(learned - alone for learned, alone in pairs)


def _step_seconds(result: Result) -> float | None:
    """Mean over the tasks of the median seconds of a step, of those that have one."""
    known = [task["step_seconds"] for task in result["tasks"] if task["step_seconds"]]
    return statistics.fmean(known) if known else None


def _account(cell: Cell, ran: Ran) -> RunAccount:
    return {
        "label": cell.variant.label,
        "epochs": cell.epochs,
        "seed": ran.seed,
        "worker": ran.worker,
        "config": ran.result["config"],
        "environment": ran.result["environment"],
        "R": ran.result["R"],
    }


def _notes_on_machines(cells: Sequence[Cell]) -> list[str]:
    """Seconds can be compared only where all runs had the same machine, device and threads."""
    runs = [ran for cell in cells for ran in cell.runs]
    machines = {ran.worker.partition(":")[0] for ran in runs}
    kinds = {(ran.result["environment"]["device"], ran.result["environment"]["threads"]) for ran in runs}
    if len(machines) < 2 and len(kinds) < 2:
        return []
    what = f"{len(machines)} machines" if len(machines) > 1 else "different devices or numbers of threads"
    return [f"Runs were done on {what}: seconds and step ratios are not comparable from row to row."]


def _notes_on_options(cells: Sequence[Cell]) -> list[str]:
    """A grid that goes on after a default changed has runs of both."""
    differing = [
        cell.variant.label
        for cell in cells
        if len({json.dumps(ran.result["config"]["method"], sort_keys=True) for ran in cell.runs}) > 1
    ]
    if not differing:
        return []
    return [
        f"The runs of one row had different options ({', '.join(dict.fromkeys(differing))}): narrows' defaults changed "
        "while the grid was run. Run it anew in another --out."
    ]
