"""What a data set is: labelled uint8 images in two parts, of which some classes can be selected.

Knows nothing of streams, tasks or normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from narrows.errors import DataError

Split = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images x: uint8 (n, C, H, W), 0..255; labels y: int64 (n,), indices into `classes`.

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
        """(C, H, W) of an image."""
        return tuple(self.train_x.shape[1:])

    def counts(self, split: Split) -> list[int]:
        """Examples of each class in that part."""
        y = self.train_y if split == "train" else self.test_y
        return [int(n) for n in torch.bincount(y, minlength=len(self.classes))]

    def select(self, classes: Sequence[int]) -> Dataset:
        """Only these classes, re-numbered 0..k-1 in the order given; examples keep their order."""
        if list(classes) == list(range(len(self.classes))):
            return self
        number = renumbering(classes, len(self.classes))
        parts = []
        for x, y in ((self.train_x, self.train_y), (self.test_x, self.test_y)):
            rows = (number[y] >= 0).nonzero().squeeze(1)
            parts += [x[rows], number[y[rows]]]
        return Dataset(self.name, parts[0], parts[1], parts[2], parts[3], tuple(self.classes[c] for c in classes))


class ImageSource(Protocol):
    """What a stream draws its tasks from: a `Dataset`, or files decoded only when selected."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def counts(self, split: Split) -> list[int]: ...
    def select(self, classes: Sequence[int]) -> Dataset: ...


def renumbering(classes: Sequence[int], total: int) -> Tensor:
    """int64 (total,): the new number of each old label, -1 for those not among `classes`."""
    number = torch.full((total,), -1, dtype=torch.int64)
    number[torch.tensor(list(classes), dtype=torch.int64)] = torch.arange(len(classes))
    return number
