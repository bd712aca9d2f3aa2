"""The life of a model in Python: a store made once, tasks learned from files, asked, measured, forgotten.

    python examples/production.py

The command line does the same: docs/production.md.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from narrows import IBM
from narrows.data import DataOptions
from narrows.production import describe, evaluate, init, learn, open_store, predict, verify_outputs


def write_photos(where: Path, classes: range) -> Path:
    """A folder of images for each class, as a user has them."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label in classes:
            folder = where / f"digit {label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15.9).astype("uint8")).save(folder / f"{number:04}.png")
    return where


def write_table(where: Path) -> Path:
    """A CSV file with a column to predict."""
    wine = load_wine()
    with where.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*wine.feature_names, "cultivar"])
        writer.writerows([*row, wine.target_names[label]] for row, label in zip(wine.data, wine.target, strict=True))
    return where


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    photos, table = write_photos(folder / "photos", range(5)), write_table(folder / "wine.csv")

    # Once. How to build the network is written into the store; any factory of yours will do.
    init(folder / "shop", "narrows.networks:mlp", {"input_shape": [1, 8, 8], "classes": 10}, head="head")

    # In September: images.
    store = open_store(folder / "shop")
    learned = learn(store, "parts", photos, options=DataOptions(holdout=0.2), epochs=10, lr=6e-3)
    print(f"parts: validation accuracy {learned.record.metrics['validation']['accuracy']:.3f}")
    before = predict(store, "parts", photos)

    # In October, in another process: a table, in the same network, padded to its 64 inputs.
    store = open_store(folder / "shop")
    options = DataOptions(target="cultivar", holdout=0.2)
    learned = learn(store, "wine", table, options=options, method=IBM(density=0.04), epochs=40, patience=10)
    told = describe(store, "wine")
    print(f"wine: validation accuracy {learned.record.metrics['validation']['accuracy']:.3f}")
    print(f"wine builds on {', '.join(told['parents'])}; {told['bytes'] / 1024:.0f} KiB on disk")

    # Asked and measured; the older task has not changed by a bit.
    after = predict(store, "parts", photos)
    after.write(folder / "predictions.parquet")
    print(f"{after.ids[0]} is {after.labels[0]!r} with probability {float(after.probabilities[0].max()):.2f}")
    print(f"parts: accuracy {evaluate(store, 'parts', photos).scores['accuracy']:.3f}")
    if not torch.equal(before.outputs, after.outputs):
        raise SystemExit("outputs have changed: please report this as a bug")
    print(f"outputs of parts: {after.outputs.numel()} numbers, identical")

    # Forgotten, exactly: what wine needs of it is kept for wine.
    print(f"forgetting parts frees {store.forget('parts').freed} weights")
    print(f"sound: {not store.verify(deep=True)}, {', '.join(check.verdict for check in verify_outputs(store))}")


if __name__ == "__main__":
    main()
