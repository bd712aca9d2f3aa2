"""Data and a trained network to try the pilot of docs/guide/2-pilot.md with: three production lines that read digits.

    python examples/guide_pilot.py FOLDER

writes into FOLDER `trained.pt`, the network that line A uses today, and for each line three files that share no digit:
examples to learn from (`line-a.npz`, ...), to choose by (`line-a-valid.npz`, ...) and fresh ones that neither learned
nor chose anything (`line-a-fresh.npz`, ...). Line B's camera is turned by a quarter; line C's is turned too and shows
light as dark. The digits are scikit-learn's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from narrows.networks import mlp

LINES = {"a": (0, 800), "b": (800, 1300), "c": (1300, 1797)}  # rows of scikit-learn's digits
PARTS = {"": 0.5, "-valid": 0.2, "-fresh": 0.3}  # of each line's digits


def seen_by(line: str, images: np.ndarray) -> np.ndarray:
    """What the camera of a line makes of upright digits (n, 8, 8), uint8."""
    turned = images if line == "a" else np.rot90(images, axes=(1, 2))
    return np.ascontiguousarray(255 - turned if line == "c" else turned)


def scaled(x: np.ndarray, like: np.ndarray) -> torch.Tensor:
    """Images (n, 1, 8, 8) by the mean and deviation of `like`, as `narrows adopt` scales them."""
    mean, std = like.mean() / 255, like.std() / 255
    return (torch.tensor(x, dtype=torch.float32)[:, None] / 255 - mean) / std


def train(x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    """An ordinary training, as it was done before anybody heard of tasks."""
    torch.manual_seed(0)
    model = mlp((1, 8, 8), 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(20):
        for rows in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images, labels = (digits.images * 15.9).astype("uint8")[order], digits.target[order]
    for line, (first, last) in LINES.items():
        x, y = seen_by(line, images[first:last]), labels[first:last]
        ends = np.cumsum([int(share * len(y)) for share in PARTS.values()])
        for part, start, end in zip(PARTS, [0, *ends], ends, strict=False):
            np.savez(folder / f"line-{line}{part}.npz", x=x[start:end], y=y[start:end])
        print(f"line {line.upper()}: {ends[0]} examples to learn from")
        if line == "a":
            inputs, classes = scaled(x, like=x[: ends[0]]), torch.tensor(y)
            model = train(inputs[: ends[0]], classes[: ends[0]])
            torch.save(model.state_dict(), folder / "trained.pt")
            right = (model(inputs[ends[1] :]).argmax(1) == classes[ends[1] :]).float().mean().item()
            print(f"line A's network today: accuracy {right:.4f} on fresh examples")


if __name__ == "__main__":
    main()
