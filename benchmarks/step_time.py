"""Seconds of a training by each method against plain training of the same network with the same optimizer.

    python benchmarks/step_time.py [--beside ../before/src] [--methods ibm ...] [--pairs 5]

Each is in a process of its own, so that none has another's caches, and each pair is plain training and then the method,
one after the other: what else the machine does falls on both. Plain training is a bare loop without narrows. Timed is
the second task: some weights are frozen. A step is forward, backward, optimizer step and zero_grad on data at hand, the
steps run through a whole schedule (choices of the sub-network included), one thread. Of a process the mean of a step is
taken, without the slowest twentieth; printed are the median of the pairs' ratios, their least and their greatest.
`--beside` measures the narrows in another checkout in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "ibm": ("ibm", {"density": 0.04}),
    "ibm, variational": ("ibm", {"density": 0.04, "estimator": "variational"}),
    "ibm, nothing refined": ("ibm", {"density": 0.04, "refine": False}),
    "wsn c=.1": ("wsn", {"density": 0.1}),
    "magnitude": ("magnitude", {"density": 0.04}),
    "packnet": ("packnet", {}),
    "supsup": ("supsup", {"density": 0.1}),
    "hat": ("hat", {}),
}
PLAIN = "plain"
FIRST_STEPS = 20
SHAPES = {"mlp": (1, 8, 8), "conv": (3, 32, 32)}
RUNS = (("mlp", 64), ("mlp", 256), ("conv", 64))


def seconds_a_step(method: str, name: str, batch: int, steps: int) -> float:
    """Trimmed mean over one training in this process, with the narrows that is on the path."""
    import narrows as nw
    from narrows.methods.registry import make_method
    from narrows.networks import make_network

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(batch, *SHAPES[name]), torch.randint(0, 10, (batch,))
    model = make_network(name, SHAPES[name], 10)
    with tempfile.TemporaryDirectory() as folder:
        sample: Any = nullcontext
        if method == PLAIN:
            optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        else:
            kind, options = METHODS[method]
            made = make_method(kind, options)
            store = nw.TaskStore.create(f"{folder}/store", model, head="head")
            with store.begin("before", made) as before:  # a later task has frozen weights to deal with
                said = {"examples": 5000, "batch_size": batch}
                if hasattr(nw, "Training"):
                    before.fit([(x, y)] * FIRST_STEPS, nw.Training(1, **said), progress=False)
                else:  # a checkout of before there was one, of --beside
                    before.fit([(x, y)] * FIRST_STEPS, 1, **said, progress=False)
                before.commit()
            task = store.begin("task", made)
            optimizer = task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=steps, examples=5000, batch_size=batch)
            model, sample = task.model, task.sample
        seconds = []
        for _ in range(steps):
            started = time.perf_counter()
            with sample():
                nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.perf_counter() - started)
    return statistics.fmean(sorted(seconds[3:])[: int(0.95 * len(seconds))])


def in_a_process(source: Path, *words: object) -> float:
    """`seconds_a_step` by the narrows in `source`."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--one", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--networks", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--beside", type=Path, help="the src of another checkout")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        method, name, batch, steps = arguments.one
        print(seconds_a_step(method, name, int(batch), int(steps)))
        return
    sources = {"now": Path(__file__).parents[1] / "src"} | ({"before": arguments.beside} if arguments.beside else {})
    recorded = []
    print("| network | batch | method | narrows | times plain | least | greatest |\n|---|---|---|---|---|---|---|")
    for name, batch in (run for run in RUNS if run[0] in arguments.networks):
        for method in arguments.methods:
            ratios: dict[str, list[float]] = {which: [] for which in sources}
            for _ in range(arguments.pairs):
                for which, source in sources.items():
                    words = (name, batch, arguments.steps)
                    plain, ours = (in_a_process(source.resolve(), one, *words) for one in (PLAIN, method))
                    ratios[which].append(ours / plain)
            for which, found in ratios.items():
                middle = statistics.median(found)
                print(
                    f"| {name} | {batch} | {method} | {which} | {middle:.2f} | {min(found):.2f} | {max(found):.2f} |",
                    flush=True,
                )
                recorded.append({"network": name, "batch": batch, "method": method, "narrows": which, "ratios": found})
    out = Path(__file__).parent / "results" / "step_time.json"
    environment = {"torch": torch.__version__, "threads": 1, "steps": arguments.steps}
    out.write_text(json.dumps({"environment": environment, "rows": recorded}, indent=1) + "\n")


if __name__ == "__main__":
    main()
