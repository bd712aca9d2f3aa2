"""A small attention network, tasks of different kinds: ten classes, two classes, a number.

    python examples/attention.py

Each row of an 8x8 digit is a token. The weights of attention and of the MLP are shared; norms, biases and heads are
the task's own. The third task is a regression: the head has one output, the loss is the squared error.
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

WIDTH = 32


class Reader(nn.Module):
    """Two blocks of attention over the rows of an image, then their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        self.position = nn.Parameter(0.1 * torch.randn(8, WIDTH))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, rows: Tensor) -> Tensor:
        tokens = self.embed(rows) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens.mean(1)).squeeze(-1)  # (n, classes), or (n,) with a head of one output


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32) / 16
    label = torch.tensor(digits.target)
    height = (x.sum(2) * torch.arange(8)).sum(1) / x.sum((1, 2))  # row of the ink's centre, 0 to 7
    height = (height - height.mean()) / height.std()
    test = torch.arange(len(x)) % 5 == 0
    tasks = {
        "which digit": (label, 10, F.cross_entropy),
        "odd or even": (label % 2, 2, F.cross_entropy),
        "centre of ink": (height, 1, F.mse_loss),
    }
    # Positions are added, and so each task's own by the rule of what is shared; to name them says that it is meant.
    store = nw.TaskStore.create(Path(tempfile.mkdtemp()) / "store", Reader(), head="head", private=["position"])
    for name, (target, outputs, loss) in tasks.items():
        loader = DataLoader(TensorDataset(x[~test], target[~test]), batch_size=64, shuffle=True)
        with store.begin(name, nw.IBM(density=0.2), head=outputs) as task:
            task.fit(loader, nw.Training(6, lr=1e-2, loss=loss), progress=False)
            record = task.commit()
        with torch.no_grad():
            found = store.load(name)(x[test])
        if outputs == 1:
            quality = f"{1 - F.mse_loss(found, target[test]) / target[test].var():.1%} of the variance explained"
        else:
            quality = f"accuracy {(found.argmax(1) == target[test]).double().mean():.3f}"
        builds = f", reuses weights of {', '.join(record.parents)}" if record.parents else ""
        print(f"{name}: {quality}{builds}")
    for layer in store.explain("centre of ink"):
        print(f"  {layer.name:36} claimed {layer.claimed:4}  reused {layer.reused:4}  of {layer.weights}")


if __name__ == "__main__":
    main()
