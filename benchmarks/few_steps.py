"""What `narrows learn` makes of a few hundred examples, beside the same network trained dense with as many steps.

    python benchmarks/few_steps.py --tiny-imagenet FOLDER --cifar-100 FOLDER

Digits and tables come with scikit-learn; of the images, FOLDER holds parquet as the hub has it, brought to 32 x 32.
Each row learns a drawn subset with a budget of steps, by `narrows.production.learn` without validation data, and is
measured on examples that are not in it. `--budgets` says which, as EPOCHSxBATCH; `default` is what `learn` takes if
nothing is said. Rows that --out has already are not measured again.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import torch
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

import narrows as nw
from narrows.benchmarks.environment import environment
from narrows.production import evaluate, init, learn

OUT = Path(__file__).parent / "results" / "few-steps.json"
TESTED = 500
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """A data set: how it is read, the network, how many examples are learned from."""

    read: Callable[[Path | None], Arrays]
    model: str
    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    folder: str = ""


def images(pattern: str, image: str, label: str, classes: int) -> Callable[[Path | None], Arrays]:
    """The first `classes` of a folder of parquet, as uint8 (n, 3, 32, 32)."""

    def read(folder: Path | None) -> Arrays:
        assert folder is not None
        x, y = [], []
        for file in sorted(folder.glob(pattern)):
            rows = parquet.read_table(file, columns=[image, label]).to_pydict()
            for cell, number in zip(rows[image], rows[label], strict=True):
                if number < classes:
                    picture = (
                        Image.open(io.BytesIO(cell["bytes"])).convert("RGB").resize((32, 32), Image.Resampling.BOX)
                    )
                    x.append(np.asarray(picture).transpose(2, 0, 1))
                    y.append(number)
        return np.stack(x), np.array(y)

    return read


def digits(_: Path | None) -> Arrays:
    data = load_digits()
    return (data.images * 15.9).astype(np.uint8)[:, None], data.target


def table(load: Callable[[], Any]) -> Callable[[Path | None], Arrays]:
    return lambda _: (load().data.astype(np.float32), load().target)


SETTINGS = {
    "digits": Setting(digits, "mlp", (1, 8, 8), (100, 200, 300)),
    "wine": Setting(table(load_wine), "mlp", (13,), (100,)),
    "breast-cancer": Setting(table(load_breast_cancer), "mlp", (30,), (100, 300)),
    "tiny-imagenet": Setting(
        images("train-*.parquet", "image", "label", 10), "conv", (3, 32, 32), (201, 500), "tiny_imagenet"
    ),
    "cifar-100": Setting(
        images("train-*.parquet", "img", "fine_label", 5), "conv", (3, 32, 32), (200, 500), "cifar_100"
    ),
    "cifar-100, resnet": Setting(
        images("train-*.parquet", "img", "fine_label", 5), "resnet18_narrow", (3, 32, 32), (200,), "cifar_100"
    ),
}
METHODS: dict[str, nw.Method] = {
    "ibm": nw.IBM(density=0.04),
    "dense": nw.Independent(),
}


def measure(setting: Setting, data: Arrays, size: int, seed: int, label: str, budget: str) -> dict[str, Any]:
    """One task learned from `size` examples."""
    x, y = data
    drawn = np.random.default_rng(seed).permutation(len(x))
    kept, tested = drawn[:size], drawn[size:][:TESTED]
    said = {} if budget == "default" else dict(zip(("epochs", "batch_size"), map(int, budget.split("x")), strict=True))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, rows in (("train", kept), ("test", tested)):
            np.savez(Path(folder) / f"{name}.npz", x=x[rows], y=y[rows])
        torch.manual_seed(seed)  # the initial weights
        store = init(
            Path(folder) / "store",
            f"narrows.networks:{setting.model}",
            {"input_shape": list(setting.shape), "classes": 2},
            head="head",
        )
        learned = learn(store, "task", Path(folder) / "train.npz", method=METHODS[label], seed=seed, **said)
        scores = evaluate(store, "task", Path(folder) / "test.npz").scores
        return {
            "accuracy": scores["accuracy"],
            "steps": learned.fit.steps,
            "seconds": round(learned.fit.seconds, 1),
            "doubts": list(getattr(learned, "doubts", ())),
            "chance": float(np.bincount(y[tested]).max() / len(tested)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny-imagenet", type=Path, help="folder of Tiny ImageNet")
    parser.add_argument("--cifar-100", type=Path, help="folder of CIFAR-100")
    parser.add_argument("--data", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--methods", nargs="+", default=["ibm", "dense"], choices=METHODS)
    parser.add_argument("--budgets", nargs="+", default=["10x64", "default"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    for name in arguments.data:
        setting = SETTINGS[name]
        data = setting.read(getattr(arguments, setting.folder, None))
        for size in setting.sizes:
            for budget in arguments.budgets:
                for label in arguments.methods:
                    for seed in arguments.seeds:
                        what = {"data": name, "examples": size, "budget": budget, "method": label, "seed": seed}
                        if any(what.items() <= row.items() for row in rows):
                            continue
                        rows.append(what | measure(setting, data, size, seed, label, budget))
                        print(what, rows[-1]["accuracy"], rows[-1]["steps"], rows[-1]["seconds"], flush=True)
                        arguments.out.parent.mkdir(parents=True, exist_ok=True)
                        told = {"environment": environment("cpu"), "rows": rows}
                        arguments.out.write_text(json.dumps(told, indent=1) + "\n")
    print(table_of(rows))


def table_of(rows: list[dict[str, Any]]) -> str:
    """Means over seeds, in points, with the steps taken."""
    keys = list(dict.fromkeys((row["data"], row["examples"], row["budget"]) for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = ["| data | examples | budget | steps | chance | " + " | ".join(methods) + " | seconds |"]
    lines.append("|---" * (6 + len(methods)) + "|")
    for key in keys:
        same = [row for row in rows if (row["data"], row["examples"], row["budget"]) == key]
        cells = [str(part) for part in key] + [str(same[0]["steps"]), _points([row["chance"] for row in same])]
        cells += [_points([row["accuracy"] for row in same if row["method"] == method]) for method in methods]
        seconds = statistics.fmean(row["seconds"] for row in same if row["method"] == methods[0])
        lines.append("| " + " | ".join([*cells, f"{seconds:.1f}"]) + " |")
    return "\n".join(lines)


def _points(values: list[float]) -> str:
    return f"{100 * statistics.fmean(values):.1f}" if values else "-"


if __name__ == "__main__":
    main()
