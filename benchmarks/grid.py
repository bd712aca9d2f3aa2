"""Runs a grid of `narrows run` commands and writes one table: every method at the best of its learning rates.

    python benchmarks/grid.py tiny-imagenet --data FOLDER
    python benchmarks/grid.py split-fashion-mnist

Each configuration is run on seed 0 with three learning rates (some with one, to save time); the
best ACC picks the one that seeds 1 and 2 are run with. The pick sees test accuracy, for all methods alike. Each run is
a process of its own with one thread; `--jobs` at once. Finished runs are kept in --out, so an interrupted grid goes on
where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One row of the table: a method, its options, and the learning rates it may choose from."""

    label: str
    method: str
    options: tuple[str, ...]
    rates: tuple[float, ...]


DENSE = (3e-4, 1e-3, 3e-3)
SPARSE = (3e-3, 6e-3, 1.2e-2)
WSN = (1e-3, 3e-3, 6e-3)
ENTRIES = {
    "tiny-imagenet": (
        Entry("independent", "independent", (), DENSE),
        Entry("ibm .04", "ibm", ("density=0.04",), SPARSE),
        Entry("wsn c=.1", "wsn", ("density=0.1",), WSN),
        Entry("ibm .03", "ibm", ("density=0.03",), SPARSE),
        Entry("ibm .04, variational", "ibm", ("density=0.04", "estimator=variational"), (3e-3,)),
        Entry("ibm .1", "ibm", ("density=0.1",), (3e-3,)),
        Entry("wsn c=.03", "wsn", ("density=0.03",), WSN),
        Entry("ibm .01", "ibm", ("density=0.01",), (6e-3,)),
    ),
    "permuted-digits": (
        Entry("independent", "independent", (), (1e-3,)),
        Entry("wsn c=.1", "wsn", ("density=0.1",), (3e-3,)),
        Entry("ibm .04", "ibm", ("density=0.04",), (6e-3,)),
        Entry("ibm .01", "ibm", ("density=0.01",), (6e-3,)),
        Entry("ibm .01 ratio=features", "ibm", ("density=0.01", "ratio=features"), (6e-3,)),
        Entry("ibm .01 ratio=inverse", "ibm", ("density=0.01", "ratio=inverse"), (6e-3,)),
        Entry("ibm beta=.001", "ibm", ("beta=0.001",), (6e-3,)),
        Entry("ibm .04 variational", "ibm", ("density=0.04", "estimator=variational"), (6e-3,)),
        Entry(
            "ibm .04 variational, additive", "ibm", ("density=0.04", "estimator=variational", "gates=additive"), (6e-3,)
        ),
    ),
    "split-fashion-mnist": (
        Entry("independent", "independent", (), (1e-3,)),
        Entry("finetune", "finetune", (), (1e-3,)),
        Entry("ibm .04", "ibm", ("density=0.04",), (6e-3,)),
    ),
}
SEEDS = (0, 1, 2)


class Grid:
    """Runs, once each, at most `jobs` at a time."""

    def __init__(self, stream: str, out: Path, data: str | None, jobs: int) -> None:
        self.stream, self.out, self.data = stream, out, data
        self.pool = ThreadPoolExecutor(jobs)

    def command(self, entry: Entry, rate: float, seed: int) -> tuple[list[str], Path]:
        slug = "".join(c if c.isalnum() or c == "." else "-" for c in entry.label)
        where = self.out / f"{slug}-lr{rate:g}-s{seed}"
        command = [sys.executable, "-m", "narrows", "run", self.stream, "--method", entry.method, "--threads", "1"]
        for option in entry.options:
            command += ["--set", option]
        command += ["--lr", f"{rate:g}", "--seed", str(seed), "--out", str(where)]
        return command + (["--data", self.data] if self.data else []), where

    def run(self, entry: Entry, rate: float, seed: int) -> dict[str, Any]:
        command, where = self.command(entry, rate, seed)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads((where / "result.json").read_text())
        print(f"{entry.label:32} lr {rate:<7g} seed {seed}  ACC {100 * result['metrics']['ACC']:.2f}", flush=True)
        return result

    def all(self, entries: tuple[Entry, ...]) -> dict[str, dict[str, Any]]:
        first = {(e, rate): self.pool.submit(self.run, e, rate, 0) for e in entries for rate in e.rates}
        picked = {}
        for entry in entries:
            tried = {rate: first[entry, rate].result() for rate in entry.rates}
            best = max(tried, key=lambda rate: float(tried[rate]["metrics"]["ACC"]))
            more = [self.pool.submit(self.run, entry, best, seed) for seed in SEEDS[1:]]
            picked[entry.label] = {"lr": best, "first": tried, "more": more}
        return {
            label: {
                "lr": found["lr"],
                "tried": {f"{rate:g}": result["metrics"]["ACC"] for rate, result in found["first"].items()},
                "runs": [found["first"][found["lr"]], *(run.result() for run in found["more"])],
            }
            for label, found in picked.items()
        }


def row(label: str, found: dict[str, Any]) -> str:
    """One line of the Markdown table."""
    runs = [run["metrics"] for run in found["runs"]]

    def mean(key: str) -> float:
        return statistics.fmean(run[key] for run in runs)

    accuracies = [100 * run["ACC"] for run in runs]
    error = statistics.stdev(accuracies) / math.sqrt(len(accuracies)) if len(accuracies) > 1 else float("nan")
    cells = [
        label,
        f"{found['lr']:g}",
        f"{statistics.fmean(accuracies):.1f} ± {error:.1f}",
        f"{100 * mean('BWT'):.1f}",
        f"{mean('density'):.3f}",
        f"{mean('used'):.3f}",
        f"{100 * mean('bytes_per_task') / runs[0]['dense_bytes']:.1f}%",
        f"{mean('seconds'):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", choices=ENTRIES)
    parser.add_argument("--data", help="folder of the stream's data")
    parser.add_argument("--out", type=Path, default=Path("runs/grid"), help="where the runs go")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--only", action="append", help="labels of the rows to run; default all")
    arguments = parser.parse_args()
    entries = tuple(e for e in ENTRIES[arguments.stream] if not arguments.only or e.label in arguments.only)
    grid = Grid(arguments.stream, arguments.out / arguments.stream, arguments.data, arguments.jobs)
    found = grid.all(entries)
    lines = [
        "| method | lr | ACC (%) | BWT | density | used | bytes a task | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [row(label, entry) for label, entry in found.items()]
    print("\n".join(lines))
    summary = {
        label: entry
        | {
            "runs": [
                {key: run[key] for key in ("config", "seed", "environment", "metrics", "R")} for run in entry["runs"]
            ]
        }
        for label, entry in found.items()
    }
    recorded = Path(__file__).parent / "results" / f"{arguments.stream}.json"
    recorded.parent.mkdir(exist_ok=True)
    if arguments.only and recorded.exists():
        summary = json.loads(recorded.read_text()) | summary
    recorded.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
