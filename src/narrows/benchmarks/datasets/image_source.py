"""Image sources, which streams draw their tasks from: labelled, in two parts, read only as far as classes are selected.

Knows nothing of streams, tasks or normalisation; how files are found is the business of the modules beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from narrows.data.decoding import decode
from narrows.data.sources.own import MOST
from narrows.errors import ConfigError, DataError
from narrows.store.bounded import read_bytes

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


class ImageSource(ABC):
    """Labelled images. name: of the data set; classes: their names, in the order of the labels."""

    name: str
    classes: tuple[str, ...]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""

    @abstractmethod
    def labels(self, split: Split) -> Tensor:
        """int64 (n,): the class of each image of that part, without reading any."""

    @abstractmethod
    def images(self, split: Split, rows: Tensor) -> Tensor:
        """uint8 (k, C, H, W): these images of that part, of ascending rows."""

    def counts(self, split: Split) -> list[int]:
        """Examples of each class in that part."""
        return torch.bincount(self.labels(split), minlength=len(self.classes)).tolist()

    def select(self, classes: Sequence[int]) -> Dataset:
        """These classes only, re-numbered 0..k-1 in the order given; examples keep their order.

        DataError naming the file and the row of an image that cannot be decoded.
        """
        number = torch.full((len(self.classes),), -1, dtype=torch.int64)
        number[torch.tensor(list(classes), dtype=torch.int64)] = torch.arange(len(classes))
        parts = []
        for split in SPLITS:
            renumbered = number[self.labels(split)]
            rows = (renumbered >= 0).nonzero().squeeze(1)
            parts += [self.images(split, rows), renumbered[rows]]
        return Dataset(self.name, parts[0], parts[1], parts[2], parts[3], tuple(self.classes[c] for c in classes))


@dataclass(frozen=True, eq=False)
class Dataset(ImageSource):
    """A source in memory. Images x: uint8 (n, C, H, W), 0..255; labels y: int64 (n,), indices into `classes`.

    DataError where shapes, types, counts or labels do not agree, or a part is empty.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, x, y in (("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            where = f"{self.name}, {part} part"
            if x.dtype != torch.uint8 or x.dim() != 4:
                raise DataError(f"{where}: images must be uint8 (n, C, H, W), not {x.dtype} {tuple(x.shape)}")
            if y.dtype != torch.int64 or y.shape != x.shape[:1]:
                raise DataError(
                    f"{where}: {len(x)} images need int64 labels ({len(x)},), not {y.dtype} {tuple(y.shape)}"
                )
            if not len(x):
                raise DataError(f"{where}: there are no examples")
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(f"{where}: labels {low}..{high} are outside the {len(self.classes)} classes")
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise DataError(
                f"{self.name}: train images are {tuple(self.train_x.shape[1:])}, "
                f"test images {tuple(self.test_x.shape[1:])}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.train_x.shape[1:])

    def labels(self, split: Split) -> Tensor:
        return self.train_y if split == "train" else self.test_y

    def images(self, split: Split, rows: Tensor) -> Tensor:
        return (self.train_x if split == "train" else self.test_x)[rows]

    def select(self, classes: Sequence[int]) -> Dataset:
        """As of any source; itself where all classes are asked for in their order."""
        return self if list(classes) == list(range(len(self.classes))) else super().select(classes)


Fetch = Callable[[Split, int], tuple[str, bytes]]
"""(split, row) -> where an image lies (for messages), and its bytes; rows are asked for in ascending order."""


@dataclass(frozen=True, eq=False)
class EncodedImages(ImageSource):
    """Encoded images (JPEG, PNG, WebP, ...), decoded to squares of `size`. channels: 3 for RGB, 1 for grey.

    DataError: a label without a name.
    """

    name: str
    classes: tuple[str, ...]
    size: int
    known: Mapping[Split, Tensor]
    fetch: Fetch
    channels: int = 3

    def __post_init__(self) -> None:
        for y in self.known.values():
            if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(self.classes):
                raise DataError(
                    f"{self.name}: labels must lie in 0..{len(self.classes) - 1}, one for each class name; they are "
                    f"{int(y.min())}..{int(y.max())}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.size, self.size)

    def labels(self, split: Split) -> Tensor:
        return self.known[split]

    def images(self, split: Split, rows: Tensor) -> Tensor:
        x = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for i, row in enumerate(rows.tolist()):
            where, data = self.fetch(split, row)
            x[i] = decode(data, (self.size, self.size), where, self.channels)
        return torch.from_numpy(x)


def encoded_files(
    name: str, classes: tuple[str, ...], parts: Mapping[Split, Sequence[tuple[Path, int]]], size: int, channels: int = 3
) -> EncodedImages:
    """Images that are a file each, given as (file, label) for both parts."""

    def fetch(split: Split, row: int) -> tuple[str, bytes]:
        where = f"{parts[split][row][0]} (row {row} of the {split} part)"
        try:
            return where, read_bytes(parts[split][row][0], MOST)
        except OSError as error:
            raise DataError(f"{where} cannot be read: {error}") from error

    known = {split: torch.tensor([label for _, label in part], dtype=torch.int64) for split, part in parts.items()}
    return EncodedImages(name, classes, size, known, fetch, channels)


def numbered(known: Mapping[Split, Tensor]) -> tuple[str, ...]:
    """Names for the classes of labels that have none."""
    return tuple(f"class {i}" for i in range(1 + max(int(y.max()) if len(y) else -1 for y in known.values())))


class _Framed(ImageSource):
    def __init__(self, source: ImageSource, shape: tuple[int, ...]) -> None:
        self.name, self.classes, self._source, self._shape = source.name, source.classes, source, shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    def labels(self, split: Split) -> Tensor:
        return self._source.labels(split)

    def images(self, split: Split, rows: Tensor) -> Tensor:
        x = self._source.images(split, rows)
        down, right = self.shape[1] - x.shape[2], self.shape[2] - x.shape[3]
        padded = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return padded.repeat(1, self.shape[0] // x.shape[1], 1, 1)


def framed(source: ImageSource, shape: tuple[int, ...]) -> ImageSource:
    """The source with its images centred on black, and grey ones with three equal channels, to have that shape; itself
    where they have it. As Serra et al. (HAT, 2018) and those after them bring 28x28 digits to 32x32.

    ConfigError: they do not fit in.
    """
    if source.shape == shape:
        return source
    if shape[0] not in (source.shape[0], 3 * source.shape[0]) or any(
        a > b for a, b in zip(source.shape[1:], shape[1:], strict=True)
    ):
        raise ConfigError(f"{source.name}: images {source.shape} cannot be framed as {shape}")
    return _Framed(source, shape)
