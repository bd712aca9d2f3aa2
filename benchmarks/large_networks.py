"""What the store and a choice cost at 25 and 120 million weights: seconds to commit, load, forget; bytes a task.

    python benchmarks/large_networks.py --beside ../before/src --out benchmarks/results/large-networks.json

Each row is measured in a process of its own, this checkout and the one `--beside` in turn, one thread. Tasks keep
weights drawn at random, half of the reused ones from each of the tasks before; nothing is trained but one step of SGD
that moves nothing, as what is timed is the store's part. Bytes are of mask.bin, and of all of the task's files. A
choice is one of ibm's, gradients drawn at random. The row of 101 tasks is of a small network: there the last task has
100 parents, and the second has one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor, nn

WIDTHS = {"2M": (1024, 2), "25M": (2048, 6), "120M": (4096, 7)}
"""Width and number of square layers: 2,097,152, 25,165,824 and 117,440,512 weights."""


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the function gives."""
    started = time.perf_counter()
    result = function()
    return round(time.perf_counter() - started, 4), result


def drawn(density: float) -> Any:
    """A method whose tasks claim a fraction of the free weights at random, and reuse half of the frozen ones."""
    import narrows as nw
    from narrows.methods import Learner

    class Drawer(Learner):
        def __init__(self, shared: Any, seed: int) -> None:
            super().__init__(shared)
            generator = torch.Generator().manual_seed(seed)
            self._masks = []
            for frozen in shared.frozen:
                chance = torch.rand(frozen.shape, generator=generator)
                self._masks.append((~frozen & (chance < density)) | (frozen & (chance < 0.5)))

        @property
        def masks(self) -> list[Tensor]:
            return self._masks

        def before_step(self) -> None: ...

        @torch.no_grad()
        def after_step(self) -> None:
            for param, mask in zip(self.shared.params, self._masks, strict=True):
                param.copy_(torch.where(mask, param, 0.0))

        def finish(self) -> None: ...

        settled = True

        def state(self) -> dict[str, Any]:
            return {}

        def load_state(self, state: dict[str, Any]) -> None: ...

    @dataclass(frozen=True)
    class Drawn(nw.methods.Method):
        name: ClassVar[str] = "drawn"
        summary: ClassVar[str] = "weights drawn at random"

        def learner(self, shared: Any, plan: Any, carry: Any) -> Learner:  # noqa: ARG002
            return Drawer(shared, len(shared.names) + sum(int(mask.sum()) for mask in shared.frozen))

    return Drawn()


def measure(size: str, density: float, tasks: int) -> dict[str, float]:
    """One row, with the narrows that is on the path."""
    import narrows as nw

    torch.set_num_threads(1)
    torch.manual_seed(0)
    width, layers = WIDTHS[size]
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    row: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = nw.TaskStore.create(f"{folder}/store", model)
        method = drawn(density)
        for number in range(tasks):
            begin, task = timed(lambda number=number: store.begin(f"task {number}", method))
            with task:
                optimizer = task.attach(torch.optim.SGD(task.model.parameters(), lr=0.0))
                task.model(torch.ones(1, width)).sum().backward()
                optimizer.step()
                commit, _ = timed(task.commit)
        row |= {"begin": begin, "commit": commit}  # of the last task
        row["load first"], _ = timed(lambda: store.load("task 0"))
        row["load last"], _ = timed(lambda: store.load(f"task {tasks - 1}"))
        if tasks > 2:
            row["load second"], _ = timed(lambda: store.load("task 1"))
            for which, name in (("second", "task 1"), ("last", f"task {tasks - 1}")):
                parents = store.directory.record(name).parents
                claimed = sum(store.directory.subnet(one).claimed for one in (name, *parents))
                row[f"ns a value, load {which}"] = row[f"load {which}"] / claimed * 1e9
        row["parents of the last"] = len(store.directory.record(f"task {tasks - 1}").parents)
        first = store.directory.record("task 0")
        row["bytes of the first"] = first.bytes
        row["bits a weight of its mask"] = first.blobs["mask.bin"]["bytes"] * 8 / (width * width * layers)
        if tasks > 1:
            row["forget first"], _ = timed(lambda: store.forget("task 0"))
    return row


def choices(size: str) -> dict[str, float]:
    """Seconds of a choice of ibm at density .05, over a whole schedule of 20 steps, and of all its steps."""
    import narrows as nw
    from narrows.methods.gradual import GradualLearner

    torch.set_num_threads(1)
    torch.manual_seed(0)
    width, layers = WIDTHS[size]
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    found: list[float] = []
    choose = GradualLearner._choose

    def noted(learner: Any, progress: float) -> None:
        seconds, _ = timed(lambda: choose(learner, progress))
        found.append(seconds)

    steps = []
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(GradualLearner, "_choose", noted):
        store = nw.TaskStore.create(f"{folder}/store", model)
        with store.begin("task", nw.IBM(density=0.05, prune_every=2)) as task:
            optimizer = task.optimizer(torch.optim.SGD, lr=0.01, total_steps=20)
            for _ in range(20):
                for param in task.model.parameters():
                    param.grad = torch.rand(param.shape).sub_(0.5)
                steps.append(timed(optimizer.step)[0])
    return {"choices": len(found), "choice": sum(found) / len(found), "longest": max(found), "steps": sum(steps)}


def row_of(source: Path, size: str, density: float, tasks: int) -> dict[str, float]:
    """One row by the narrows in `source`, in a process of its own."""
    command = [sys.executable, __file__, "--one", size, str(density), str(tasks)]
    done = subprocess.run(command, env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


ROWS = (
    *(("25M", density, 1) for density in (0.01, 0.04, 0.1)),
    *(("25M", 0.01, 4), ("120M", 0.01, 2), ("2M", 0.01, 101)),
    *(("25M", 0.05, 0), ("120M", 0.05, 0)),
)
"""Size, density, tasks; 0 of them: choices."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", type=Path, help="the src of another checkout, measured in turn with this one")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        size, density, tasks = options.one
        print(json.dumps(measure(size, float(density), int(tasks)) if int(tasks) else choices(size)))
        return
    sources = {"now": Path(__file__).parents[1] / "src"} | ({"before": options.beside} if options.beside else {})
    rows = []
    for size, density, tasks in ROWS:
        for which, source in sources.items():
            rows.append({"size": size, "density": density, "tasks": tasks, "which": which})
            rows[-1] |= row_of(source.resolve(), size, density, tasks)
            print(
                json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in rows[-1].items()}), flush=True
            )
    if options.out:
        options.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
