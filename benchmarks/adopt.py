"""What adopting a trained network costs in accuracy, and the capacity that it wins.

    python benchmarks/adopt.py fashion-mnist
    python benchmarks/adopt.py tiny-imagenet --data FOLDER

A narrow ResNet-18 is trained as usual, dense. It is then adopted by a store, by each method and density with the
same short fine-tuning, and measured on the same test images before and after. `dense` is the trained network
fine-tuned as long, with nothing pruned: what the additional training alone brings. Rows that
benchmarks/results/adopt.json has already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import narrows as nw
from narrows.benchmarks.environment import environment
from narrows.benchmarks.streams import make_stream
from narrows.data.batches import Batches
from narrows.networks import make_network
from narrows.training import accuracy, train

NETWORK = "resnet18-narrow"
BATCH, LR = 64, 1e-3
CONTESTANTS: dict[str, nw.Method] = {
    "ibm .1": nw.IBM(density=0.1),
    "dense": nw.Finetune(),
    "magnitude .1": nw.Magnitude(density=0.1),
    "ibm .05": nw.IBM(density=0.05),
    "ibm .03": nw.IBM(density=0.03),
    "magnitude .03": nw.Magnitude(density=0.03),
}
OUT = Path(__file__).parent / "results" / "adopt.json"


@dataclass(frozen=True)
class Setting:
    """A first task: its stream, training images used, test images measured on, epochs of training and adopting."""

    stream: str
    images: int
    test: int
    augment: bool
    epochs: int
    adopting: int


SETTINGS = {
    "fashion-mnist": Setting("split-fashion-mnist", 6000, 5000, False, 6, 3),
    "tiny-imagenet": Setting("tiny-imagenet", 5000, 500, True, 12, 8),
}


class FirstTask:
    """Ten classes in one task: batches to train on and to measure on, and the network trained on them."""

    def __init__(self, setting: Setting, data: Path | None, seed: int, *, holdout: bool) -> None:
        self.setting, self.seed = setting, seed
        self.stream = make_stream(setting.stream, data=data, seed=seed, tasks=1, classes=10)
        task = self.stream.tasks[0]
        drawn = torch.randperm(len(task.train_x), generator=torch.Generator().manual_seed(seed))
        rows = drawn[: setting.images - (setting.test if holdout and setting.images == len(drawn) else 0)]
        self.train = task.train_x[rows], task.train_y[rows]
        rest = drawn[len(rows) :][: setting.test]
        self.test = (task.train_x[rest], task.train_y[rest]) if holdout else (task.test_x, task.test_y)

    def train_batches(self, pass_: int) -> Batches:
        options = {"mean": self.stream.mean, "std": self.stream.std, "augment": self.setting.augment}
        return Batches(*self.train, BATCH, shuffle=True, generator_seed=100 * self.seed + pass_, **options)

    def test_batches(self) -> Batches:
        x, y = (part[: self.setting.test] for part in self.test)
        return Batches(x, y, 500, shuffle=False, mean=self.stream.mean, std=self.stream.std)

    def trained(self, cache: Path) -> nn.Module:
        """The dense network after its whole training; kept in `cache`, for a run that goes on."""
        torch.manual_seed(self.seed)
        model = make_network(NETWORK, self.stream.input_shape, 10)
        if cache.exists():
            model.load_state_dict(torch.load(cache, weights_only=True))
            return model.eval()
        batches, epochs = self.train_batches(0), self.setting.epochs
        train(model, batches, nw.Training(epochs, lr=LR))
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), cache)
        return model.eval()


def measure(task: FirstTask, model: nn.Module, method: nw.Method, epochs: int, lr: float) -> dict[str, Any]:
    """One adoption."""
    torch.manual_seed(task.seed)
    with tempfile.TemporaryDirectory() as folder:
        store = nw.TaskStore.create(Path(folder) / "store", model, head="head")
        started = time.perf_counter()
        options: dict[str, Any] = {
            "method": method,
            "training": nw.Training(epochs, lr=lr),
            "valid": task.test_batches(),
            "progress": False,
        }
        found = nw.adopt(store, "first", task.train_batches(1), **options)
        loaded = accuracy(store.load("first"), task.test_batches())
        return {
            "before": found.before,
            "after": loaded,
            "used": found.used,
            "freed": found.freed,
            "bytes": found.record.bytes,
            "dense_bytes": sum(tensor.nbytes for tensor in model.state_dict().values()),
            "seconds": round(time.perf_counter() - started, 1),
            "layers": {name: round(kept["used"] / kept["weights"], 4) for name, kept in found.record.layers.items()},
        }


def table(rows: list[dict[str, Any]]) -> str:
    """Means over seeds with standard errors, in points."""
    lines = [
        "| data | adopted with | lr | epochs | before | after | change | weights free again | bytes, of dense | seeds |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for key in dict.fromkeys((row["data"], row["method"], row["lr"], row["epochs"]) for row in rows):
        same = [row for row in rows if (row["data"], row["method"], row["lr"], row["epochs"]) == key]
        before, after, change = (
            _points(values)
            for values in (
                [row["before"] for row in same],
                [row["after"] for row in same],
                [row["after"] - row["before"] for row in same],
            )
        )
        freed = statistics.fmean(row["freed"] for row in same)
        size = statistics.fmean(row["bytes"] / row["dense_bytes"] for row in same)
        cells = [
            key[0],
            key[1],
            f"{key[2]:g}",
            str(key[3]),
            before,
            after,
            change,
            f"{freed:.1%}",
            f"{size:.1%}",
            str(len(same)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _points(values: list[float]) -> str:
    mean = 100 * statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * statistics.stdev(values) / len(values) ** 0.5:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--data", type=Path, help="folder of the data, as `narrows run --data` takes it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--epochs", type=int, help="of adopting")
    parser.add_argument("--holdout", action="store_true", help="measure on training images held out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("runs/adopt"))
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    setting = SETTINGS[arguments.setting]
    epochs = arguments.epochs or setting.adopting
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    for seed in arguments.seeds:
        task = FirstTask(setting, arguments.data, seed, holdout=arguments.holdout)
        kind = "-holdout" if arguments.holdout else ""
        model = task.trained(arguments.cache / f"{arguments.setting}{kind}-s{seed}.pt")
        for label in arguments.methods:
            # A network that is not sparse does not want the higher rate.
            lr = LR if label == "dense" else arguments.lr
            what = {"data": arguments.setting, "method": label, "seed": seed, "lr": lr, "epochs": epochs}
            if any(what.items() <= row.items() for row in rows):
                continue
            rows.append(what | measure(task, model, CONTESTANTS[label], epochs, lr))
            print(what, f"{rows[-1]['before']:.4f} -> {rows[-1]['after']:.4f}", rows[-1]["seconds"], "s", flush=True)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps({"environment": environment("cpu"), "rows": rows}, indent=1) + "\n")
    print(table([row for row in rows if row["data"] == arguments.setting]))


if __name__ == "__main__":
    main()
