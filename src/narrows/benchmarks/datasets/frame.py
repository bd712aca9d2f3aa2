"""Grey or small images as a stream with larger, coloured ones wants them.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from narrows.benchmarks.datasets.base import Dataset, ImageSource, Split
from narrows.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Framed:
    """A source whose images are centred on black (size, size), grey ones with three equal channels.

    As Serra et al. (HAT, 2018) and those after them bring 28x28 digits to 32x32.
    """

    source: ImageSource
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """That of the source."""
        return self.source.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.classes

    def counts(self, split: Split) -> list[int]:
        """Examples of each class in that part."""
        return self.source.counts(split)

    def select(self, classes: Sequence[int]) -> Dataset:
        """The source's selection, framed."""
        part = self.source.select(classes)
        train_x, test_x = (self._frame(x) for x in (part.train_x, part.test_x))
        return Dataset(part.name, train_x, part.train_y, test_x, part.test_y, part.classes)

    def _frame(self, x: Tensor) -> Tensor:
        channels, height, width = self.shape
        down, right = height - x.shape[2], width - x.shape[3]
        framed = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return framed.repeat(1, channels // x.shape[1], 1, 1)


def framed(source: ImageSource, shape: tuple[int, ...]) -> ImageSource:
    """The source itself where its images have that shape, else framed. ConfigError: they do not fit in."""
    if source.shape == shape:
        return source
    if shape[0] not in (source.shape[0], 3 * source.shape[0]) or any(
        a > b for a, b in zip(source.shape[1:], shape[1:], strict=True)
    ):
        raise ConfigError(f"{source.name}: images {source.shape} cannot be framed as {shape}")
    return Framed(source, shape)
