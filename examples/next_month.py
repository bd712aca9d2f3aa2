"""A task added next month, in a new process, to a store written earlier: the old task stays as it is, bit for bit.

    python examples/next_month.py STORE

makes the store the first time it is run, and adds a month to it each time after that. Without STORE it does both in a
temporary folder, the second in another process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import narrows as nw

DIGITS = load_digits()
X = torch.tensor(DIGITS.images, dtype=torch.float32) / 16
Y = torch.tensor(DIGITS.target)


def network() -> nn.Module:
    """The architecture. Its initial values count once, when the store is made; later the store has them."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 5))


def learn(store: nw.TaskStore, month: str, classes: list[int]) -> None:
    """One month's customer: some digits, unknown before."""
    rows = torch.isin(Y, torch.tensor(classes))
    data = TensorDataset(X[rows], Y[rows] - classes[0])
    with store.begin(month, nw.IBM(density=0.04), head=len(classes)) as task:
        task.fit(DataLoader(data, batch_size=64, shuffle=True), nw.Training(10), progress=False)
        record = task.commit(data={"examples": len(data)})
    kept = f"{store.values_kept():.2%} of the shared weights used"
    print(f"learned {month}: {record.bytes / 1024:.1f} KiB, {kept}", flush=True)


@torch.no_grad()
def outputs(store: nw.TaskStore, name: str) -> torch.Tensor:
    """The logits of a stored task on every image."""
    return store.load(name)(X)


def one_process(path: Path) -> None:
    """What runs each month."""
    if not (path / "store.json").exists():
        store = nw.TaskStore.create(path, network(), head="5")
        learn(store, "september", [0, 1, 2, 3, 4])
        torch.save(outputs(store, "september"), path.with_suffix(".september"))
        return
    store = nw.TaskStore.open(path, network())
    names = [record.name for record in store.tasks()]
    print(f"opened {path.name}: {', '.join(names)}")
    learn(store, f"month {len(names) + 1}", [5, 6, 7, 8, 9])
    before = torch.load(path.with_suffix(".september"), weights_only=True)
    if not torch.equal(outputs(store, "september"), before):
        raise SystemExit("september's outputs have changed: please report this as a bug")
    print(f"september's {before.numel()} outputs: identical, bit for bit")


def main() -> None:
    if len(sys.argv) > 1:
        one_process(Path(sys.argv[1]))
        return
    path = Path(tempfile.mkdtemp()) / "shop"
    one_process(path)
    subprocess.run([sys.executable, __file__, str(path)], check=True)


if __name__ == "__main__":
    main()
