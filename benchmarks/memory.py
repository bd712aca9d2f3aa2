"""Bytes a shared weight while a second task is trained by each method, and the seconds of one choice.

    python benchmarks/memory.py

Counted are the storages, each once, that are reached from the model, its gradients, the optimizer (Adam) and the
learner. The store's own copies on the host are left out. `choosing` is the most between two steps while the sub-network
shrinks, `settled` after the last step. Plain Adam is 16. The choice is timed on the CPU, in one thread.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import narrows as nw
from narrows.methods import Extent, SharedWeights

METHODS: dict[str, nw.Method] = {
    "ibm": nw.IBM(),
    "ibm, variational": nw.IBM(estimator="variational"),
    "ibm, nothing refined": nw.IBM(refine=False),
    "magnitude": nw.Magnitude(density=0.04),
    "packnet": nw.PackNet(),
    "wsn c=.1": nw.WSN(density=0.1),
    "supsup": nw.SupSup(density=0.1),
    "hat": nw.HAT(),
    "ewc": nw.EWC(),
    "finetune": nw.Finetune(),
}
STEPS = 60
WIDTH = 512


def reached(*roots: Any) -> dict[int, int]:
    """Storage -> bytes, of all tensors that hang on these."""
    found: dict[int, int] = {}
    seen: set[int] = set()
    left = list(roots)
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, type):
            continue
        seen.add(id(part))
        if isinstance(part, Tensor):
            found[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
            left += [] if part.grad is None else [part.grad]
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            left += part
        elif hasattr(part, "__dict__") and not callable(part):
            left.append(vars(part))
    return found


def measure(method: nw.Method, folder: Path) -> dict[str, float]:
    """Bytes a shared weight: choosing and settled."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
    store = nw.TaskStore.create(folder / "store", model, head="4")
    x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))
    plan = {"examples": 5000, "batch_size": 64}
    with store.begin("before", method) as before:
        before.fit([(x, y)] * 20, nw.Training(1, **plan), progress=False)
        before.commit()
    task = store.begin("task", method)
    optimizer = task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=STEPS, **plan)
    learner = task._learner
    assert learner is not None
    total = learner.shared.total()
    between = []
    for _ in range(STEPS):
        with task.sample():
            nn.functional.cross_entropy(task.model(x), y).backward()
        optimizer.step()
        gc.collect()
        between.append(sum(reached(dict(task.model.named_parameters()), optimizer.state, vars(learner)).values()))
        optimizer.zero_grad()
    task.abandon()
    return {"choosing": max(between[:30]) / total, "settled": between[-1] / total}


def choice_seconds(weights: int) -> dict[str, float]:
    """Of the first choice of IBM's second task over so many weights, and of the following ones on average."""
    side = int(weights**0.5)
    param = nn.Parameter(torch.randn(side, side).mul_(0.02))
    frozen = torch.rand(side, side) < 0.04
    shared = SharedWeights.dense(("w",), [param], [frozen], [param.detach().clone()])
    learner: Any = nw.IBM().learner(shared, Extent(400, 5000, 64), None)
    param.grad = torch.randn(side, side)
    learner.fisher.add()
    seconds = []
    for step in range(30, 241, 10):
        started = time.perf_counter()
        learner._choose(learner.pace.curve.at(step) if step < 240 else 0.999)
        seconds.append(time.perf_counter() - started)
    return {"weights": side * side, "first": seconds[0], "mean": sum(seconds) / len(seconds), "most": max(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=100_000_000, help="of the choice that is timed; 0: none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| method | choosing | settled |\n|---|---|---|")
    rows = {}
    for label, method in METHODS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows[label] = found = measure(method, Path(folder))
        print(f"| {label} | {found['choosing']:.1f} | {found['settled']:.1f} |", flush=True)
    recorded: dict[str, Any] = {"environment": {"torch": torch.__version__, "threads": 1}, "bytes": rows}
    if arguments.weights:
        recorded["choice"] = found = choice_seconds(arguments.weights)
        print(f"\na choice over {found['weights']:,} weights: {found['first']:.2f} s, mean {found['mean']:.2f} s")
    out = Path(__file__).parent / "results" / "memory.json"
    out.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
