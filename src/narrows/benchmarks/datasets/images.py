"""Encoded images (JPEG, PNG, WebP, ...) on disk, decoded only for the classes that are selected.

How the files are found is the business of `folders`, `tiny_imagenet`, `parquet` and `hub`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from narrows.benchmarks.datasets.base import Dataset, Split, renumbering
from narrows.data.decoding import decode
from narrows.data.sources.own import MOST
from narrows.errors import DataError
from narrows.store.bounded import read_bytes

Labels = npt.NDArray[np.int64]

Fetch = Callable[[Split, Sequence[int]], Iterator[tuple[str, bytes]]]
"""(split, rows, ascending) -> for each row, in order, where it lies (for messages) and its bytes."""


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Labels int64 (n,) of both parts, and the means to fetch the images of any rows of them.

    channels: 3 for RGB, 1 for grey.
    """

    name: str
    classes: tuple[str, ...]
    size: int
    labels: Mapping[Split, Labels]
    fetch: Fetch
    channels: int = 3

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, size, size): decoded images are squares."""
        return (self.channels, self.size, self.size)

    def counts(self, split: Split) -> list[int]:
        """Examples of each class in that part, without decoding any."""
        return [int(n) for n in np.bincount(self.labels[split], minlength=len(self.classes))]

    def select(self, classes: Sequence[int]) -> Dataset:
        """Decode these classes only, re-numbered 0..k-1 in the order given.

        DataError naming the file and the row of an image that cannot be decoded.
        """
        number = renumbering(classes, len(self.classes)).numpy()
        parts: list[Tensor] = []
        splits: tuple[Split, ...] = ("train", "test")
        for split in splits:
            renumbered = number[self.labels[split]]
            rows = np.flatnonzero(renumbered >= 0)
            x = np.empty((len(rows), *self.shape), dtype=np.uint8)
            for i, (where, data) in enumerate(self.fetch(split, rows.tolist())):
                x[i] = decode(data, (self.size, self.size), where, self.channels)
            parts += [torch.from_numpy(x), torch.from_numpy(renumbered[rows])]
        return Dataset(self.name, parts[0], parts[1], parts[2], parts[3], tuple(self.classes[c] for c in classes))


def encoded_files(
    name: str, classes: tuple[str, ...], parts: Mapping[Split, Sequence[tuple[Path, int]]], size: int, channels: int = 3
) -> EncodedImages:
    """Images that are a file each, given as (file, label) for both parts."""
    labels: dict[Split, Labels] = {
        split: np.array([label for _, label in part], dtype=np.int64) for split, part in parts.items()
    }

    def fetch(split: Split, rows: Sequence[int]) -> Iterator[tuple[str, bytes]]:
        for row in rows:
            path = parts[split][row][0]
            try:
                yield f"{path} (row {row} of the {split} part)", read_bytes(path, MOST)
            except OSError as error:
                raise DataError(f"{path} (row {row} of the {split} part) cannot be read: {error}") from error

    return EncodedImages(name, classes, size, labels, fetch, channels)


def names_for(where: str, labels: Mapping[Split, Labels], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The name of each class: `names`, or where there are none their numbers. DataError: a label without a name."""
    highest = max(int(part.max(initial=-1)) for part in labels.values())
    names = names or tuple(f"class {i}" for i in range(highest + 1))
    if highest >= len(names) or any(int(part.min(initial=0)) < 0 for part in labels.values()):
        raise DataError(f"{where}: labels must lie in 0..{len(names) - 1}, one for each class name")
    return names
