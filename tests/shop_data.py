"""A user's data, small and easy to learn: images in folders, a table, arrays; a regression, labels."""

from __future__ import annotations

import csv
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ("green", "red")


def images(where: Path, each: int = 12, classes: tuple[str, ...] = ("bright", "dark"), seed: int = 0) -> Path:
    """A folder for each class; grey images of 6 x 6 pixels, lighter from class to class."""
    draw = np.random.default_rng(seed)
    for number, name in enumerate(sorted(classes)):
        (where / name).mkdir(parents=True)
        for row in range(each):
            level = 60 + 130 * number / max(1, len(classes) - 1)
            pixels = np.clip(draw.normal(level, 20, size=(6, 6)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(where / name / f"{row:03}.png")
    return where


def rows(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Two numbers, a category, and all kinds of targets."""
    draw = np.random.default_rng(seed)
    made: list[dict[str, object]] = []
    for _ in range(count):
        a, b = draw.normal(size=2).tolist()
        colour = COLOURS[int(draw.integers(2))]
        tags = [name for name, holds in (("big", a > 0), ("tall", b > 0)) if holds]
        made.append(
            {
                "a": a,
                "b": b,
                "colour": colour,
                "label": "yes" if a + b > 0 else "no",
                "price": 100 + 10 * a - 5 * b,
                "area": 3 + (colour == "red"),
                "tags": "|".join(tags),
            }
        )
    return made


def table(where: Path, count: int = 60, seed: int = 0, keep: tuple[str, ...] = ("label",)) -> Path:
    """A CSV file with the inputs a, b and colour, and the targets in `keep`."""
    names = ["a", "b", "colour", *keep]
    with where.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows(count, seed))
    return where


def arrays(where: Path, count: int = 48, classes: int = 3, seed: int = 0) -> Path:
    """An NPZ file with x, float32 (n, 1, 6, 6), and y, whole numbers."""
    draw = np.random.default_rng(seed + zlib.crc32(where.stem.encode()))
    y = np.arange(count) % classes
    x = draw.normal(size=(count, 1, 6, 6)) + 2 * y[:, None, None, None]
    np.savez(where, x=x.astype(np.float32), y=y)
    return where


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
