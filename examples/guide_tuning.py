"""The measurements of docs/guide/3-beta-or-density.md and 4-tuning.md: one small stream, tuned on held-out data.

    python examples/guide_tuning.py permuted-digits

Every run is what `narrows run STREAM --tasks 5 --holdout 0.2 --epochs E --lr L --set ...` does: a fifth of each task's
training data is held out and measured on, and no test example is touched. Learning rate, density and epochs are run in
every combination, so that any order of tuning can be replayed afterwards from the same figures: choices are made on the
first seed and judged on the others. Results go to benchmarks/results/guide-STREAM.json after each run; the same command
goes on where it was cut off, and --show prints the tables of what is there. It does not know the guide.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import narrows as nw
from narrows.benchmarks.environment import environment
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.runner import run

ROOT = Path(__file__).parents[1]
AXES: dict[str, tuple[float, ...]] = {
    "lr": (0.0015, 0.003, 0.006, 0.012),
    "density": (0.01, 0.04, 0.1),
    "epochs": (5, 10, 20),
}
FLOOR_RATES = (0.0003, 0.001, 0.003, 0.006)
PRICES = (1e-4, 1e-3, 1e-2, 1e-1)
SPLITS = ((0.04, 0.0), (0.02, 0.02), (0.01, 0.03), (0.005, 0.035), (0.0025, 0.0375))  # new, reuse: all add up to .04
TOLERANCE = 0.005  # of accuracy, that a smaller density or a shorter training may cost
Cell = dict[str, Any]


def cells(stages: list[str], seeds: list[int]) -> Iterator[Cell]:
    """What is to be run, stage after stage."""
    for stage, seed in itertools.product(stages, seeds):
        base: Cell = {"method": "ibm", "seed": seed}
        if stage == "grid":
            for lr, density, epochs in itertools.product(*AXES.values()):
                yield base | {"options": {"density": density}, "lr": lr, "epochs": epochs}
        elif stage == "floor":
            for lr, epochs in itertools.product(FLOOR_RATES, AXES["epochs"]):
                yield base | {"method": "independent", "options": {}, "lr": lr, "epochs": epochs}
        elif stage == "prices":
            for beta, epochs in itertools.product(PRICES, AXES["epochs"]):
                yield base | {"options": {"beta": beta}, "lr": 0.006, "epochs": epochs}
        elif stage == "splits":
            for new, reuse in SPLITS:
                yield base | {"options": {"new": new, "reuse": reuse}, "lr": 0.006, "epochs": 10}


def measure(stream: str, tasks: int, cell: Cell) -> Cell:
    """One run in a folder that is removed afterwards; its figures as `result.json` has them, fractions and bytes."""
    method = nw.make_method(cell["method"], cell["options"])
    options = RunOptions(
        stream, method, tasks=tasks, epochs=int(cell["epochs"]), lr=cell["lr"], seed=cell["seed"], holdout=0.2
    )
    with tempfile.TemporaryDirectory() as folder:
        result = run(options, Path(folder))
    figures = result.metrics()
    kept = ("ACC", "BWT", "density", "used", "bytes_per_task", "seconds")
    return cell | {name: figures[name] for name in kept} | {"accuracy": [task.accuracy_now for task in result.tasks]}


def fill(path: Path, stream: str, tasks: int, wanted: Iterator[Cell]) -> None:
    """Runs the cells that the file has not, and writes it after each."""
    rows: list[Cell] = load(path)
    for cell in wanted:
        if any(cell.items() <= row.items() for row in rows):
            continue
        rows.append(measure(stream, tasks, cell))
        print(cell, f"{rows[-1]['ACC']:.4f}", f"{rows[-1]['seconds']:.1f} s", flush=True)
        head = {"stream": stream, "tasks": tasks, "holdout": 0.2, "environment": environment("cpu")}
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        path.write_text(f'{json.dumps(head)[:-1]}, "rows": [\n  {lines}\n]}}\n')


def load(path: Path) -> list[Cell]:
    """The rows of a file; none where there is none yet."""
    return list(json.loads(path.read_text())["rows"]) if path.exists() else []


class Measured:
    """Means over the seeds of what was run."""

    def __init__(self, rows: list[Cell], seeds: list[int]) -> None:
        self.rows = [row for row in rows if row["seed"] in seeds]

    def of(self, figure: str, options: Cell, method: str = "ibm", **rest: float) -> tuple[float, float]:
        """Mean and standard error of a figure over the seeds; NaN where nothing was run, no error for one seed."""
        what = {"method": method, "options": options, **rest}
        values = [row[figure] for row in self.rows if what.items() <= row.items()]
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        return (statistics.fmean(values), error) if values else (float("nan"), 0.0)

    def accuracy(self, at: Cell) -> float:
        """ACC at a point of the grid: {"lr": ..., "density": ..., "epochs": ...}."""
        return self.of("ACC", {"density": at["density"]}, lr=at["lr"], epochs=at["epochs"])[0]

    def tune(self, order: tuple[str, ...], start: Cell) -> tuple[Cell, float]:
        """One option after the other, the others held; gives where that ends, and the passes over a task it took.

        The learning rate goes to the best value; density and epochs, which cost, to the smallest within TOLERANCE of
        the best.
        """
        at, passes = dict(start), 0.0
        for name in order:
            tried = {value: self.accuracy(at | {name: value}) for value in AXES[name]}
            passes += sum((at | {name: value})["epochs"] for value in AXES[name])
            slack = 0 if name == "lr" else TOLERANCE
            at[name] = next(value for value, found in tried.items() if found >= max(tried.values()) - slack)
        return at, passes


def table(title: str, head: list[str], body: list[list[str]]) -> None:
    """Markdown on standard output."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in body))


def show_runs(measured: Measured) -> None:
    """What the runs found."""

    def cell(options: Cell, figure: str = "ACC", **rest: Any) -> str:
        mean, error = measured.of(figure, options, **rest)
        return f"{100 * mean:.1f} ± {100 * error:.1f}"

    rates, densities, lengths = AXES.values()
    floor = [[cell({}, method="independent", lr=lr, epochs=n) for lr in FLOOR_RATES] for n in lengths]
    table(
        "One dense network per task, ACC (%)",
        ["epochs", *(f"lr {lr:g}" for lr in FLOOR_RATES)],
        [[f"{n:g}", *row] for n, row in zip(lengths, floor, strict=True)],
    )
    for epochs in lengths:
        body = [[f"{d:g}", *(cell({"density": d}, lr=lr, epochs=epochs) for lr in rates)] for d in densities]
        table(f"IBM, {epochs:g} epochs, ACC (%)", ["density", *(f"lr {lr:g}" for lr in rates)], body)
    for figure in ("density", "ACC"):
        body = [[f"{b:g}", *(cell({"beta": b}, figure, epochs=n) for n in lengths)] for b in PRICES]
        table(f"Prices, lr .006: {figure} (%)", ["beta", *(f"{n:g} epochs" for n in lengths)], body)
    body = [
        [f"{a:g}", f"{b:g}", *(cell({"new": a, "reuse": b}, figure) for figure in ("ACC", "used"))] for a, b in SPLITS
    ]
    table("New against reused, .04 in all, lr .006, 10 epochs", ["new", "reuse", "ACC (%)", "used (%)"], body)


def show_orders(tuned_on: Measured, judged_on: Measured) -> None:
    """Every order of tuning, replayed from every learning rate and density at the shortest training."""
    rates, densities, lengths = AXES.values()
    starts = [{"lr": lr, "density": d, "epochs": lengths[0]} for lr, d in itertools.product(rates, densities)]
    body = []
    for order in itertools.permutations(AXES):
        ends = [tuned_on.tune(order, start) for start in starts]
        found = [100 * judged_on.accuracy(at) for at, _ in ends]
        means = [statistics.fmean(at[name] for at, _ in ends) for name in ("density", "epochs")]
        passes = statistics.fmean(cost for _, cost in ends)
        cells = [f"{statistics.fmean(found):.1f}", f"{min(found):.1f}", f"{means[0]:.3f}", f"{means[1]:.0f}"]
        body.append([", ".join(order), *cells, f"{passes:.0f}", str(len({tuple(at.values()) for at, _ in ends}))])
    before = [100 * judged_on.accuracy(start) for start in starts]
    body.append(["nothing tuned", f"{statistics.fmean(before):.1f}", f"{min(before):.1f}", "", "", "", ""])
    head = ["order", "ACC (%), mean", "worst", "density", "epochs", "passes spent", "different ends"]
    table(f"Orders of tuning, from {len(starts)} starts", head, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", nargs="?", default="permuted-digits", help="a stream that `narrows streams` lists")
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    stages = ["floor", "grid", "prices", "splits"]
    parser.add_argument("--stages", nargs="+", choices=stages, default=stages)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/guide-STREAM.json")
    parser.add_argument("--show", action="store_true", help="run nothing, print the tables of what was measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.out or ROOT / "benchmarks" / "results" / f"guide-{arguments.stream}.json"
    if not arguments.show:
        fill(path, arguments.stream, arguments.tasks, cells(arguments.stages, arguments.seeds))
    rows = load(path)
    show_runs(Measured(rows, arguments.seeds))
    whole = all(any(c.items() <= row.items() for row in rows) for c in cells(["grid"], arguments.seeds))
    if whole:  # an order cannot be replayed over a gap
        show_orders(Measured(rows, arguments.seeds[:1]), Measured(rows, arguments.seeds[1:] or arguments.seeds))


if __name__ == "__main__":
    main()
