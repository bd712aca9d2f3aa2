"""One encoded image (JPEG or PNG) as an array. Knows no files, folders or labels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.extras import require
from narrows.errors import DataError

Pixels = npt.NDArray[np.uint8]
IMAGE_SUFFIXES = {".jpeg", ".jpg", ".png"}
_GREY = {"1", "L", "LA", "La", "I", "F"}


@dataclass(frozen=True)
class Header:
    """What an image is as it lies there: size in pixels, 1 channel (grey) or 3, and whether parts are transparent."""

    height: int
    width: int
    channels: int
    transparent: bool


def header(data: bytes, where: str) -> Header:
    """What the image says of itself, without decoding its pixels. DataError, naming `where`: it is none."""
    with _opened(data, where) as image:
        return _header(image)


def decode(data: bytes, size: tuple[int, int], where: str, channels: int = 3) -> Pixels:
    """uint8 (channels, height, width), RGB or grey, of an image brought to `size`, (height, width).

    Other sizes go through a box filter (the mean of the pixels covered); colour becomes grey, and grey three equal
    channels; transparent parts are drawn on white; of 16 bits the upper 8 are kept. A rotation noted in a JPEG's EXIF
    is not applied. DataError naming `where` if the bytes are not a whole JPEG or PNG, or an image of so many pixels
    that Pillow takes it for an attack (a decompression bomb).
    """
    return decode_with_header(data, size, where, channels)[0]


def decode_with_header(data: bytes, size: tuple[int, int], where: str, channels: int = 3) -> tuple[Pixels, Header]:
    """As `decode`, and what the image was before."""
    with _opened(data, where) as image:
        return _pixels(_flat(image), size, channels), _header(image)


def reshape(pixels: Pixels, size: tuple[int, int], channels: int) -> Pixels:
    """An image that is an array already, (1 or 3, height, width), brought to `size` and `channels` as `decode` does."""
    image = require("PIL.Image").fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    return _pixels(image, size, channels)


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[Any]:
    pillow = require("PIL.Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            # Only two formats: some of Pillow's others run outside programs on what they read.
            with pillow.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                yield image
    except pillow.UnidentifiedImageError as error:
        raise DataError(f"{where}: the image cannot be decoded (it is no whole JPEG or PNG)") from error
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, struct.error, ...
        raise DataError(f"{where}: the image cannot be decoded ({error})") from error


def _header(image: Any) -> Header:
    grey = image.mode.partition(";")[0] in _GREY
    return Header(image.height, image.width, 1 if grey else 3, bool(image.has_transparency_data))


def _flat(image: Any) -> Any:
    """The image without transparency or more than 8 bits a channel."""
    if image.has_transparency_data:
        pillow = require("PIL.Image")
        image = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode.startswith("I"):  # Pillow's own conversion from 16 bits cuts off instead of scaling
        return require("PIL.Image").fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    return image


def _pixels(image: Any, size: tuple[int, int], channels: int) -> Pixels:
    height, width = size
    image = image.convert("RGB" if channels == 3 else "L")
    if image.size != (width, height):
        image = image.resize((width, height), require("PIL.Image").Resampling.BOX)
    return np.asarray(image, dtype=np.uint8).reshape(height, width, channels).transpose(2, 0, 1)
