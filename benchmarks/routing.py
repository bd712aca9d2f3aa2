"""How often an input of unknown task finds its own, and what that costs in accuracy.

    python benchmarks/routing.py

Stores are made as `narrows run` makes them (defaults; kept in --runs, where a run that was cut off goes on). Test
examples of every task are then routed, one by one and in batches of one task, and classified by the network they
were routed to; right is who has the right class, where tasks share classes whichever task it came from. One class: the
share of batches of a single class that find their task.

Unseen: the last task's test images are routed among the tasks before it, none of which knows anything of it, and so
is Gaussian noise. Said is the share of such batches that are as sure as 95% of the batches of the known tasks are
(95: cannot be told from known ones; 0: a threshold rejects all).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import narrows as nw
from narrows.benchmarks.environment import environment
from narrows.benchmarks.options import RunOptions, with_defaults
from narrows.benchmarks.runner import run
from narrows.benchmarks.stream_data import StreamData
from narrows.benchmarks.streams import make_stream

STREAMS = {"permuted-digits": ("entropy",), "split-fashion-mnist": ("entropy", "statistics")}
DRAWS = {1: 100, 8: 40, 64: 40, 512: 10}  # batches of each size drawn of a task; 512 of 1000 are much alike
EXAMPLES = 1000
OUT = Path(__file__).parent / "results" / "routing.json"


class Tasks:
    """A store of a stream, its networks, and the test examples of every task."""

    def __init__(self, stream: str, seed: int, runs: Path) -> None:
        options = with_defaults(RunOptions(stream=stream, method=nw.IBM(), seed=seed))
        folder = runs / f"{stream}-s{seed}"
        run(options, folder)
        material = StreamData(options, make_stream(stream, seed=seed))
        self.store = nw.TaskStore.open(folder / "store", material.base_network())
        self.names = [record.name for record in self.store.tasks()]
        self.networks = {name: self.store.load(name) for name in self.names}
        self.x: list[Tensor] = []
        self.y: list[Tensor] = []
        self.right: list[Tensor] = []  # of each task (networks, examples): whether it names the right class
        for task in material.stream.tasks:
            batches = list(material.test_batches(task))
            x, y = (torch.cat([batch[part] for batch in batches])[:EXAMPLES] for part in (0, 1))
            self.x.append(x)
            self.y.append(y)
            truth = [task.classes[label] for label in y.tolist()]
            guesses = [
                [other.classes[guess] for guess in self._guesses(name, x)]
                for name, other in zip(self.names, material.stream.tasks, strict=True)
            ]
            self.right.append(torch.tensor([[a == b for a, b in zip(row, truth, strict=True)] for row in guesses]))

    @torch.no_grad()
    def _guesses(self, name: str, x: Tensor) -> list[int]:
        guesses: list[int] = self.networks[name](x).argmax(1).tolist()
        return guesses

    def route(self, x: Tensor, by: str, names: Sequence[str] | None = None) -> nw.Routing:
        return self.store.route(x, by=by, names=names, networks=self.networks)


def known(tasks: Tasks, by: str, size: int) -> dict[str, Any] | None:
    """Routing and class accuracy on tasks that the store has; None where a task has no batch of that size."""
    if min(len(x) for x in tasks.x) < size:
        return None
    confusion = torch.zeros(len(tasks.names), len(tasks.names))
    right, told = [], []
    for number, x in enumerate(tasks.x):
        if size == 1:
            winners = [tasks.names.index(name) for name in tasks.route(x, by).examples]
            rows = [torch.tensor([row]) for row in range(len(x))]
        else:
            rows = draws(len(x), size, number)
            winners = [tasks.names.index(tasks.route(x[some], by).best) for some in rows]
        for winner, some in zip(winners, rows, strict=True):
            confusion[number, winner] += 1 / len(rows)
            right.append(float(tasks.right[number][winner, some].float().mean()))
            told.append(float(tasks.right[number][number, some].float().mean()))
    return {
        "routed": float(confusion.diagonal().mean()),
        "accuracy_routed": statistics.fmean(right),
        "accuracy_told": statistics.fmean(told),
        "confusion": [[round(value, 3) for value in row] for row in confusion.tolist()],
    }


def single_class(tasks: Tasks, by: str, size: int) -> float | None:
    """Share of batches of one class that find their task; None where a class has not so many examples."""
    found = []
    for name, x, y in zip(tasks.names, tasks.x, tasks.y, strict=True):
        for label in y.unique():
            of_class = x[y == label]
            if len(of_class) < size:
                return None
            found += [tasks.route(of_class[rows], by).best == name for rows in draws(len(of_class), size, 0)[:10]]
    return statistics.fmean(found)


def unseen(tasks: Tasks, by: str, size: int) -> dict[str, float]:
    """Shares of batches from nowhere that are as sure as 95% of those of the tasks before the last."""
    before, last = tasks.names[:-1], tasks.x[-1]
    noise = torch.randn(last.shape, generator=torch.Generator().manual_seed(1))

    def best(x: Tensor, number: int) -> list[float]:
        some = draws(len(x), size, number)
        return [tasks.route(x[rows], by, before).ranking[0][1] for rows in some]

    sure = sorted(score for number, x in enumerate(tasks.x[:-1]) for score in best(x, number))
    threshold = sure[int(0.05 * len(sure))]
    share: Callable[[list[float]], float] = lambda scores: sum(s >= threshold for s in scores) / len(scores)  # noqa: E731
    foreign, random = best(last, len(before)), best(noise, 99)
    return {
        "unseen_as_sure": share(foreign),
        "noise_as_sure": share(random),
        "score_known": statistics.fmean(sure),
        "score_unseen": statistics.fmean(foreign),
        "score_noise": statistics.fmean(random),
    }


def draws(examples: int, size: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(examples, generator=generator)[:size] for _ in range(DRAWS[size])]


def seconds(tasks: Tasks, by: str) -> float:
    """Of one routing of 64 examples, every network loaded anew."""
    started = time.perf_counter()
    tasks.store.route(tasks.x[0][:64], by=by)
    return time.perf_counter() - started


def table(rows: list[dict[str, Any]]) -> str:
    """Means over seeds with standard errors, in %."""
    titles = ("stream", "by", "batch", "routed right", "class right, routed", "told", "one class", "unseen", "noise")
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for key in dict.fromkeys((row["stream"], row["by"], row["batch"]) for row in rows):
        same = [row for row in rows if (row["stream"], row["by"], row["batch"]) == key]
        figures = ("routed", "accuracy_routed", "accuracy_told", "single_class", "unseen_as_sure", "noise_as_sure")
        cells = [_percent([row[figure] for row in same]) for figure in figures]
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return "\n".join(lines)


def _percent(values: list[float | None]) -> str:
    measured = [100 * value for value in values if value is not None]
    if not measured:
        return "-"
    mean = f"{statistics.fmean(measured):.1f}"
    return mean if len(measured) < 2 else f"{mean} ± {statistics.stdev(measured) / len(measured) ** 0.5:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/routing"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for stream, measures in STREAMS.items():
        for seed in arguments.seeds:
            tasks = Tasks(stream, seed, arguments.runs)
            for by in measures:
                took = seconds(tasks, by)
                for size in DRAWS:
                    found = known(tasks, by, size)
                    if found is not None:
                        what = {"stream": stream, "seed": seed, "by": by, "batch": size, "seconds": took}
                        alone = {"single_class": single_class(tasks, by, size)}
                        rows.append(what | found | alone | unseen(tasks, by, size))
                        print(stream, seed, by, size, f"{found['routed']:.3f}", flush=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"environment": environment("cpu"), "rows": rows}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
