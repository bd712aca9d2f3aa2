"""Pictures of pixels as PNG files: states of weights, filters, maps of inputs. No larger than the page can bear.

Knows arrays and colours; no store and no page.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from narrows.analysis.picture import pooled_sums
from narrows.errors import ConfigError

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

STATE_COLOURS: Final = {
    "claimed": "#0072b2",
    "again": "#d55e00",
    "reused": "#009e73",
    "passed": "#e69f00",
    "free": "#d8dee4",
}
"""Of `narrows.analysis.states.STATES`, in the order in which a pixel is given to them: --kept, --again, --reused,
--dropped and --free of the page's light colours (Okabe and Ito 2008, told apart without seeing red or green). A picture
cannot follow light and dark, so it has these in both."""
_CODES: Final = (3, 4, 2, 1, 0)  # of the same states, in the same order
_MIDDLE: Final = (247, 247, 247)
_NEGATIVE: Final = (213, 94, 0)
_POSITIVE: Final = (0, 114, 178)
_SMALLEST: Final = 64  # pixels; below it a picture shows nothing


@dataclass
class PixelBudget:
    """Bytes for so many pictures. What one leaves over goes to those after it.

    >>> budget = PixelBudget(1000, 4)
    >>> budget.share()
    250
    >>> budget.spend(100)
    >>> budget.share()
    300
    """

    bytes: int
    pictures: int

    def share(self) -> int:
        """For the next picture."""
        return max(0, self.bytes) // max(1, self.pictures)

    def spend(self, size: int) -> None:
        """One picture took so much."""
        self.bytes -= size
        self.pictures -= 1


@dataclass(frozen=True)
class Drawn:
    """A picture: the file, and its size in pixels."""

    png: bytes
    height: int
    width: int


def draw_states(codes: Array, budget: PixelBudget, height: int, width: int) -> Drawn:
    """Codes (`narrows.analysis.states.STATES`) of a matrix as colours, at most `height` x `width` pixels.

    Where weights are more than pixels, a pixel stands for several of them and has the colour of one of their states,
    each as often as there are weights in it: any part of the picture has its colours in true proportion.

    >>> drawn = draw_states(np.zeros((3, 5), dtype=np.uint8), PixelBudget(1000, 1), 128, 192)
    >>> drawn.height, drawn.width
    (3, 5)
    """

    def draw(rows: int, columns: int) -> Drawn:
        return _palette_png(_dithered(codes, rows, columns), [_rgb(value) for value in STATE_COLOURS.values()])

    drawn = fitted(draw, budget.share(), height, width)
    budget.spend(len(drawn.png))
    return drawn


def fitted(draw: Callable[[int, int], Drawn], most_bytes: int, height: int, width: int) -> Drawn:
    """The largest picture within the bytes, made anew at smaller sizes until it is. The smallest may be above them."""
    drawn = draw(height, width)
    while len(drawn.png) > most_bytes and drawn.height * drawn.width > _SMALLEST:
        scale = min(0.9, math.sqrt(most_bytes / len(drawn.png)))
        drawn = draw(max(1, int(drawn.height * scale)), max(1, int(drawn.width * scale)))
    return drawn


def signed_png(values: Array) -> Drawn:
    """A matrix of -1 to 1, orange to blue by way of near white."""
    shades = [_mix(_NEGATIVE, at / 31) for at in range(31, 0, -1)] + [_mix(_POSITIVE, at / 31) for at in range(32)]
    return _palette_png(np.rint(np.clip(values, -1, 1) * 31 + 31).astype(np.uint8), shades)


def colour_png(values: Array) -> Drawn:
    """(height, width, 3), each -1 to 1 about a middle grey: red, green and blue as they are."""
    pillow = _pillow()
    pixels = np.rint(np.clip(values, -1, 1) * 127 + 128).astype(np.uint8)
    picture = pillow.fromarray(np.ascontiguousarray(pixels)).quantize(64)
    return Drawn(_saved(picture), *pixels.shape[:2])


def scale_png(values: Array, colours: Sequence[Colour]) -> Drawn:
    """A matrix of 0 to 1 in colours from the first to the last, 256 at most."""
    last = len(colours) - 1
    return _palette_png(np.rint(np.clip(values, 0, 1) * last).astype(np.uint8), colours)


def tiled(pictures: Array, empty: float) -> Array:
    """(n, height, width, ...) side by side in a grid about as wide as high, a pixel of `empty` between them.

    >>> tiled(np.ones((3, 2, 2)), 0.0).shape
    (5, 5)
    """
    count, height, width = pictures.shape[:3]
    columns = math.ceil(math.sqrt(count * height / width)) if count else 1
    rows = math.ceil(count / columns)
    shape = (rows * (height + 1) - 1, columns * (width + 1) - 1, *pictures.shape[3:])
    grid = np.full(shape, empty, dtype=pictures.dtype)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        grid[top : top + height, left : left + width] = picture
    return grid


def zoom(height: int, width: int, *, widest: int = 400, highest: int = 320, largest: int = 12) -> int:
    """How many CSS pixels a pixel is shown as.

    >>> zoom(128, 192), zoom(8, 4), zoom(500, 700)
    (2, 12, 1)
    """
    return max(1, min(largest, widest // width, highest // height))


def _dithered(codes: Array, height: int, width: int) -> Pixels:
    """Places in `STATE_COLOURS`, one for each cell: chosen by a sequence that fills 0 to 1 evenly in any neighbourhood
    (the additive sequence of the plastic number, Roberts 2018)."""
    areas = pooled_sums(np.ones(codes.shape, dtype=np.uint8), height, width)
    rows, columns = areas.shape
    at = (0.7548776662466927 * np.arange(rows)[:, None] + 0.5698402909980532 * np.arange(columns) + 0.5) % 1
    chosen = np.full(areas.shape, len(_CODES) - 1, dtype=np.uint8)
    below = np.zeros(areas.shape)
    open_ = np.ones(areas.shape, dtype=bool)
    for place, code in enumerate(_CODES[:-1]):
        below += pooled_sums(codes == code, height, width)
        here = open_ & (at * areas < below)
        chosen[here] = place
        open_ &= ~here
    return chosen


def _palette_png(places: Pixels, colours: Sequence[Colour]) -> Drawn:
    picture = _pillow().fromarray(np.ascontiguousarray(places))
    picture.putpalette([part for colour in colours for part in colour])
    return Drawn(_saved(picture), places.shape[0], places.shape[1])


def _saved(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _mix(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(middle + share * (end - middle)) for middle, end in zip(_MIDDLE, colour, strict=True))
    return red, green, blue


def _rgb(value: str) -> Colour:
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError('A report needs Pillow: pip install "narrows[report]".') from error
    return Image
