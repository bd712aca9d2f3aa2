"""What a task's inputs are and how they are prepared: plain values, saved with the task.

Knows no files and does no work; `images`, `tables` and `arrays` do.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from narrows.data.spelling import Spelling
from narrows.errors import DataError

_MOST = 1 << 24  # numbers in one example: far above any use, and small enough to be counted with


@dataclass(frozen=True)
class ImageInputs:
    """uint8 images (channels, height, width); mean and std of each channel, of values scaled to 0..1."""

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    type: Literal["images"] = "images"

    def __post_init__(self) -> None:
        _check_shape("images", self.shape)
        if self.channels not in (1, 3):
            raise DataError(f"images: channels must be 1 or 3, not {self.channels}")
        _check_scale("images", self.channels, self.mean, self.std)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, self.height, self.width)

    def summary(self) -> str:
        """In plain words."""
        colour = "RGB" if self.channels == 3 else "grey"
        return f"{colour} images of {self.height} x {self.width} pixels"


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: missing ones are the median; then (value - mean) / std, all three of the training data.

    spelling: how they are written, where that is not as Python writes them.
    """

    name: str
    median: float
    mean: float
    std: float
    spelling: Spelling | None = None


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories: each of `values` becomes a column of 0 and 1; "" is a missing value."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class TableInputs:
    """float32 (width,): first the numbers, then the categories, then zeros up to `padded_to`, if not 0.

    ids: columns kept beside the predictions; without: columns that were left out. Later data may lack both.
    """

    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    padded_to: int = 0
    type: Literal["table"] = "table"
    ids: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name, count = Counter(self.names).most_common(1)[0] if self.names else ("", 0)
        if count > 1:
            raise DataError(f"table: the column {name!r} stands twice")
        _check_shape("table", (self.encoded,))
        if self.padded_to and not self.encoded <= self.padded_to <= _MOST:
            raise DataError(
                f"table: the columns give {self.encoded} inputs, which cannot be padded to {self.padded_to}"
                f"{self._widest()}; "
                "leave columns out with features, or take a network with more inputs"
            )
        for column in self.numbers:
            _check_scale(f"table column {column.name!r}", 1, (column.mean,), (column.std,))
        for texts in self.categories:
            if not texts.values:
                raise DataError(f"table column {texts.name!r}: there are no categories")
            if len(set(texts.values)) < len(texts.values):
                raise DataError(f"table column {texts.name!r}: a category stands twice")

    def _widest(self) -> str:
        if not self.categories:
            return ""
        column = max(self.categories, key=lambda column: len(column.values))
        shown = column.values[-1] if column.values else ""  # sorted: a word among numbers comes last
        return f" (the column {column.name!r} is text and gives {len(column.values)} of them, one for {shown!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*(column.name for column in self.numbers), *(column.name for column in self.categories))

    @property
    def encoded(self) -> int:
        """Inputs that the columns give, without padding."""
        return len(self.numbers) + sum(len(column.values) for column in self.categories)

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return self.padded_to or self.encoded

    @property
    def shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.width,)

    def summary(self) -> str:
        """In plain words."""
        kinds = [(len(self.numbers), "of numbers"), (len(self.categories), "of categories")]
        columns = " and ".join(f"{count} {what}" for count, what in kinds if count)
        padding = f", {self.width - self.encoded} of them zero" if self.padded_to else ""
        return f"a table with columns: {columns} ({self.width} inputs{padding})"


@dataclass(frozen=True)
class ArrayInputs:
    """float32 arrays of `size`; mean and std along its first dimension (the features, or the channels)."""

    size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    type: Literal["array"] = "array"

    def __post_init__(self) -> None:
        _check_shape("array", self.size)
        _check_scale("array", self.size[0], self.mean, self.std)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one example."""
        return self.size

    def summary(self) -> str:
        """In plain words."""
        return f"arrays of {' x '.join(map(str, self.size))} numbers"


@dataclass(frozen=True)
class HookInputs:
    """What a function of the user's gave, as it is: float32, or uint8, which is scaled to 0..1."""

    size: tuple[int, ...]
    dtype: Literal["float32", "uint8"]
    type: Literal["hook"] = "hook"

    def __post_init__(self) -> None:
        _check_shape("hook", self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one example."""
        return self.size

    def summary(self) -> str:
        """In plain words."""
        return f"{self.dtype} arrays of {' x '.join(map(str, self.size))} numbers, from a function"


Inputs = ImageInputs | TableInputs | ArrayInputs | HookInputs


def _check_shape(what: str, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1 or math.prod(shape) > _MOST:
        raise DataError(f"{what}: an example must have from 1 to {_MOST} numbers, not the shape {shape}")


def _check_scale(what: str, channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    if len(mean) != channels or len(std) != channels:
        raise DataError(f"{what}: {len(mean)} means and {len(std)} standard deviations for {channels} channels")
    if not all(value > 0 for value in std):
        raise DataError(f"{what}: a standard deviation is not above zero")
