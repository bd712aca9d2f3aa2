"""Seconds per optimizer step of each method against plain training of the same network with the same optimizer.

    python benchmarks/step_time.py

Plain training is a bare loop without narrows. The methods take turns step by step in one process, so that what
else the machine does falls on all alike. Timed is the second task: some weights are frozen. A step is forward,
backward, optimizer step and zero_grad on data at hand. The steps run through a whole schedule (choices of the
sub-network included). Printed: median, and the ratio of the means of all but the slowest twentieth of steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

import narrows as nw
from narrows.networks import make_network

EVERY = {"prune_every": 10}  # as in a training of 400 steps or more; in one as short as this it would be oftener
METHODS = {
    "ibm": nw.IBM(density=0.04, **EVERY),
    "ibm, variational": nw.IBM(density=0.04, estimator="variational", **EVERY),
    "ibm, nothing refined": nw.IBM(density=0.04, refine=False, **EVERY),
    "wsn c=.1": nw.WSN(density=0.1),
    "magnitude": nw.Magnitude(density=0.04, **EVERY),
    "packnet": nw.PackNet(),
    "supsup": nw.SupSup(density=0.1),
    "hat": nw.HAT(),
}
FIRST_STEPS = 20
SHAPES = {"conv": (3, 32, 32), "mlp": (1, 8, 8)}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make_network(name, SHAPES[name], 10)


def steppers(name: str, batch: int, steps: int, folder: Path) -> dict[str, Callable[[], None]]:
    """One function for each contestant that takes one step."""
    x, y = torch.randn(batch, *SHAPES[name]), torch.randint(0, 10, (batch,))

    def stepper(
        model: nn.Module, optimizer: torch.optim.Optimizer, sample: Callable[..., object]
    ) -> Callable[[], None]:
        def step() -> None:
            with sample():  # type: ignore[attr-defined]
                nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    plain = network(name)
    made = {"plain": stepper(plain, torch.optim.Adam(plain.parameters(), lr=1e-3), nullcontext)}
    for number, (label, method) in enumerate(METHODS.items()):
        store = nw.TaskStore.create(folder / f"{name}-{batch}-{number}", network(name), private=["head"])
        with store.begin("before", method) as before:  # a later task has frozen weights to deal with
            before.fit([(x, y)] * FIRST_STEPS, epochs=1, examples=5000, batch_size=batch)
            before.commit()
        task = store.begin("task", method)
        optimizer = task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=steps, examples=5000, batch_size=batch)
        made[label] = stepper(task.model, optimizer, task.sample)
    return made


def measure(name: str, batch: int, steps: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Contestant -> (median seconds of a step, trimmed mean seconds)."""
    contestants = steppers(name, batch, steps, folder)
    seconds: dict[str, list[float]] = {label: [] for label in contestants}
    for _ in range(steps):
        for label, step in contestants.items():
            started = time.perf_counter()
            step()
            seconds[label].append(time.perf_counter() - started)
    trimmed = {label: sorted(values[3:])[: int(0.95 * len(values))] for label, values in seconds.items()}
    return {label: (statistics.median(values), statistics.fmean(trimmed[label])) for label, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| network | batch | method | ms a step (median) | times plain |\n|---|---|---|---|---|")
    recorded = []
    with tempfile.TemporaryDirectory() as folder:
        for name in SHAPES:
            for batch in (64, 256):
                found = measure(name, batch, arguments.steps, Path(folder))
                for label, (median, mean) in found.items():
                    ratio = mean / found["plain"][1]
                    print(f"| {name} | {batch} | {label} | {1000 * median:.2f} | {ratio:.2f} |", flush=True)
                    recorded.append(
                        {"network": name, "batch": batch, "method": label, "median_seconds": median, "ratio": ratio}
                    )
    out = Path(__file__).parent / "results" / "step_time.json"
    out.parent.mkdir(exist_ok=True)
    environment = {"torch": torch.__version__, "threads": arguments.threads, "steps": arguments.steps}
    out.write_text(json.dumps({"environment": environment, "rows": recorded}, indent=1) + "\n")


if __name__ == "__main__":
    main()
