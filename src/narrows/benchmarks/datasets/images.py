"""Encoded images (JPEG, PNG) on disk, decoded only for the classes that are selected.

How the files are found is the business of `tiny_imagenet` (folders) and `parquet`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from narrows.benchmarks.datasets.base import Dataset, Split, renumbering, require
from narrows.errors import DataError

Labels = npt.NDArray[np.int64]

Fetch = Callable[[Split, Sequence[int]], Iterator[tuple[str, bytes]]]
"""(split, rows, ascending) -> for each row, in order, where it lies (for messages) and its bytes."""


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Labels int64 (n,) of both parts, and the means to fetch the images of any rows of them."""

    name: str
    classes: tuple[str, ...]
    size: int
    labels: Mapping[Split, Labels]
    fetch: Fetch

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, size, size): decoded images are RGB squares."""
        return (3, self.size, self.size)

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
                x[i] = decode(data, self.size, where)
            parts += [torch.from_numpy(x), torch.from_numpy(renumbered[rows])]
        return Dataset(self.name, parts[0], parts[1], parts[2], parts[3], tuple(self.classes[c] for c in classes))


def decode(data: bytes, size: int, where: str) -> npt.NDArray[np.uint8]:
    """RGB uint8 (3, size, size); grey becomes RGB, other sizes go through a box filter (the mean of the
    pixels covered). DataError naming `where` if the bytes are not a whole JPEG or PNG.
    """
    pillow = require("PIL.Image")
    try:
        # Only two formats: some of Pillow's others run outside programs on what they read.
        with pillow.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            image = opened.convert("RGB")
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, struct.error, ...
        raise DataError(f"{where}: the image cannot be decoded ({error})") from error
    if image.size != (size, size):
        image = image.resize((size, size), pillow.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
