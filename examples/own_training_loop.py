"""Your own training loop: AdamW, a schedule, accumulation, clipping, bfloat16. Only the optimizer changes hands.

    python examples/own_training_loop.py

Two tasks of 8x8 digits, five classes each. Each is checked after it was loaded from the store again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import narrows as nw

EPOCHS, BATCH, ACCUMULATE = 20, 32, 2


def learn(task: nw.Task, loader: DataLoader[tuple[Tensor, ...]], examples: int) -> None:
    """Trains `task.model`. The only lines about narrows are those that make the optimizer."""
    model = task.model
    steps = EPOCHS * (len(loader) // ACCUMULATE)  # optimizer steps, not batches
    decayed = [param for param in model.parameters() if param.dim() > 1]
    plain = [param for param in model.parameters() if param.dim() <= 1]
    optimizer = task.optimizer(
        torch.optim.AdamW,
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=6e-3,
        total_steps=steps,
        examples=examples,  # these two are needed only where information has a price (beta=...)
        batch_size=BATCH * ACCUMULATE,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    model.train()
    for _ in range(EPOCHS):
        for number, (x, y) in enumerate(loader, 1):
            # does nothing here; IBM(estimator="variational") puts its noise on in it (and OneCycleLR then wants one
            # max_lr for each of optimizer.param_groups, as the gates have a learning rate of their own)
            with task.sample():
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = F.cross_entropy(model(x), y) / ACCUMULATE
                loss.backward()
            if number % ACCUMULATE == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
        optimizer.zero_grad()  # a last, odd batch is left out


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    test = torch.arange(len(y)) % 5 == 0
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
    model.add_module("head", nn.Linear(256, 5))
    store = nw.TaskStore.create(Path(tempfile.mkdtemp()) / "store", model, head="head")

    for name, picked in {"digits 0-4": y < 5, "digits 5-9": y >= 5}.items():
        rows = picked & ~test
        loader = DataLoader(TensorDataset(x[rows], y[rows] % 5), batch_size=BATCH, shuffle=True)
        with store.begin(name, nw.IBM(density=0.04), head=5) as task:
            learn(task, loader, int(rows.sum()))
            record = task.commit()
        loaded, rows = store.load(name), picked & test
        with torch.no_grad():
            accuracy = (loaded(x[rows]).argmax(1) == y[rows] % 5).double().mean()
        layers = ", ".join(f"{layer.name} {layer.density:.3f}" for layer in store.explain(name))
        print(f"{name}: accuracy {accuracy:.3f}, {record.bytes / 1024:.1f} KiB on disk, density {layers}")
    print(f"used: {store.values_kept():.2%} of the shared weights")


if __name__ == "__main__":
    main()
