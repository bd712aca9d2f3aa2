"""Pictures in plain values: bytes with the numbers that they stand for, and layers of any size pooled to one size.

Knows arrays only: no weight, task or file.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An array rounded to 256 levels.

    Attributes:
        shape: of the array: (height, width), or more, as (height, width, channels) or (pictures, height, width).
        low, high: what the bytes 0 and 255 stand for.
        data: the bytes, C order, in base64.

    >>> Picture.of(np.array([[0.0, 1.0]]), 0, 1).pixels.tolist()
    [[0, 255]]
    >>> Picture.signed(np.array([[-2.0, 0.0, 1.0]])).pixels.tolist()
    [[1, 128, 192]]
    """

    shape: tuple[int, ...]
    low: float
    high: float
    data: str

    @classmethod
    def of(cls, values: Array, low: float, high: float) -> Picture:
        """Values from `low` to `high`; those beyond are cut off."""
        width = (high - low) or 1.0
        pixels = np.rint(np.clip((np.asarray(values, dtype=np.float64) - low) / width, 0, 1) * 255).astype(np.uint8)
        data = base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
        return cls(tuple(pixels.shape), float(low), float(low + width), data)

    @classmethod
    def signed(cls, values: Array) -> Picture:
        """Values of both signs, scaled by the largest of them; 0 is exactly the byte 128."""
        largest = float(np.abs(values).max(initial=0.0)) or 1.0
        return cls.of(values, -largest * 128 / 127, largest)

    @property
    def pixels(self) -> Pixels:
        """The bytes, uint8 of `shape`."""
        return np.frombuffer(base64.b64decode(self.data), dtype=np.uint8).reshape(self.shape)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """What they stand for, to 1/255 of the range."""
        return self.low + self.pixels.astype(np.float64) * ((self.high - self.low) / 255)


def pooled_sums(matrix: Array, height: int, width: int) -> npt.NDArray[np.float64]:
    """Sums of a matrix over cells: at most `height` x `width` of them, of sizes that differ by one at most.

    >>> pooled_sums(np.ones((4, 3)), 2, 8).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    rows, columns = _edges(matrix.shape[0], height), _edges(matrix.shape[1], width)
    # Along the rows first: the long way through a large layer is then walked once.
    inner = np.add.reduceat(matrix, columns, axis=1, dtype=np.float64)
    return np.asarray(np.add.reduceat(inner, rows, axis=0), dtype=np.float64)


def _edges(length: int, most: int) -> npt.NDArray[np.int64]:
    cells = min(length, most)
    return np.arange(cells, dtype=np.int64) * length // cells
