"""Grids without processes: results made up from a job or trained in this one, and processes that end at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from narrows.benchmarks.compare import CompareOptions, Comparison, parse_variants
from narrows.benchmarks.compare.board import Board
from narrows.benchmarks.compare.folder import open_folder
from narrows.benchmarks.compare.grid import Runner
from narrows.benchmarks.compare.grid_checks import check_grid
from narrows.benchmarks.compare.grid_listener import GridListener, GridState, SilentGrid
from narrows.benchmarks.compare.jobs import Job
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.runner import run

OPTIONS = CompareOptions(
    "split-digits", parse_variants("ibm,finetune"), seeds=(0, 1), epochs=(1,), tune=2, tasks=2, jobs=2
)
ACCURACY = {"ibm": 0.8, "finetune": 0.7, "independent": 0.9, "wsn": 0.6}


def result(
    method: str, seed: int = 0, lr: float = 0.001, tasks: int = 2, accuracy: float | None = None
) -> dict[str, Any]:
    """The contents of a result.json, with figures that follow from the method and the seed."""
    acc = (ACCURACY[method] if accuracy is None else accuracy) + 0.01 * seed
    names = [f"split-{i + 1:02d}" for i in range(tasks)]
    return {
        "complete": True,
        "stream": "split-digits",
        "method": method,
        "config": {"method": {}, "lr": lr, "epochs": 1},
        "seed": seed,
        "environment": {"narrows": "0", "torch": "0", "python": "3", "system": "x", "device": "cpu", "threads": 1},
        "stream_description": {"tasks": [{"name": name} for name in names]},
        "R": [[acc if j <= i else None for j in range(tasks)] for i in range(tasks)],
        "metrics": {
            "ACC": acc,
            "BWT": 0.0,
            "forgetting": 0.0,
            "fwt_gem": -0.01,
            "fwt_independent": None,
            "density": 0.04,
            "used": 0.05,
            "bytes_per_task": 2048,
            "dense_bytes": 20480,
            "seconds": 10.0 if method == "independent" else 20.0,
            "step_ratio": None,
        },
        "tasks": [
            {
                "name": name,
                "accuracy": acc,
                "used": 0.04 + 0.01 * i,
                "step_seconds": 0.001 if method == "independent" else 0.002,
            }
            for i, name in enumerate(names)
        ],
    }


class Ended:
    """A process that has ended with a result, or with a reason why it has none."""

    seconds = 1.0

    def __init__(self, found: dict[str, Any] | None, reason: str = "") -> None:
        self._result, self._reason = found, reason
        self.interrupted = False

    def ended(self) -> bool:
        return True

    def progress(self) -> tuple[int, int | None]:
        return 0, None

    def result(self) -> dict[str, Any] | None:
        return self._result

    def reason(self) -> str:
        return self._reason

    def interrupt(self) -> None:
        self.interrupted = True

    def wait(self) -> None:
        """Has ended."""


class Endless(Ended):
    """A process that works until it is interrupted."""

    def __init__(self) -> None:
        super().__init__(None)

    def ended(self) -> bool:
        return self.interrupted


def works(job: Job) -> Ended:
    """Does a job: tuning finds the better, the lower the learning rate."""
    rate = job.values.get("lr", 0.001)
    accuracy = 0.5 - rate if job.kind == "tuning" else None
    return Ended(result(job.variant.method, job.seed, rate, accuracy=accuracy))


def learns(out: Path, options: CompareOptions = OPTIONS) -> Callable[[Job], Ended]:
    """Does jobs in earnest and in this process: each trains and leaves its folder, as `narrows run` does."""

    def work(job: Job) -> Ended:
        tuning = job.kind == "tuning"
        asked = RunOptions(
            options.stream,
            job.variant.make(job.values),
            epochs=job.epochs,
            lr=job.values.get("lr", job.variant.lr),
            seed=job.seed,
            tasks=options.tasks,
            first=options.tune_tasks if tuning else None,
            holdout=options.holdout if tuning else None,
        )
        return Ended(run(asked, out / job.key).to_json())

    return work


class LeavesWhenIdle(SilentGrid):
    """Interrupts a grid once all that is left is done by others."""

    def progress(self, progress: GridState) -> None:
        if not progress.running and progress.left == progress.elsewhere:
            raise KeyboardInterrupt


class Shop:
    """Runs grids with processes that are made up, and remembers which jobs were started."""

    def __init__(self, work: Callable[[Job], Ended] = works) -> None:
        self.work = work
        self.started: list[str] = []

    def __call__(self, job: Job) -> Ended:
        self.started.append(job.key)
        return self.work(job)

    def run(
        self, out: Path, options: CompareOptions = OPTIONS, listener: GridListener | None = None, **changes: Any
    ) -> Comparison:
        options = replace(options, **changes)
        grid = check_grid(options)
        with open_folder(out, grid.identity, options.storage) as folder:
            board = Board(folder.storage, grid.identity, folder.worker, options.stale)
            return Runner(grid, folder, board, self, options.jobs or 1, listener).run()
