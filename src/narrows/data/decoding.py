"""One encoded image, in any format of photos and scans that Pillow decodes, as an array. Knows no folders or labels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.extras import require
from narrows.errors import DataError

Pixels = npt.NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "MPO", "JPEG2000", "PPM", "QOI")
"""Those of Pillow's formats that are read, told by their first bytes. Of the others some run outside programs on what
they read (EPS), some have no mark to know them by (TGA), and some hold no picture that Pillow can decode."""
HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
NO_HEIF = 'install pillow-heif ("pip install pillow-heif"), and they are read'

_GREY = {"1", "L", "LA", "La", "I", "F"}
_STRIP = 256  # lines of an image that are worked on at once
_ORIENTATION, _BITS = 0x0112, 258  # tags of EXIF and TIFF
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What brings an image of that EXIF orientation upright."""


@dataclass(frozen=True)
class Header:
    """What an image is as it lies there.

    Attributes:
        height, width: pixels, when it is upright.
        channels: 1 (grey) or 3.
        transparent: whether any pixel is, wholly or partly; an alpha channel may be opaque throughout.
        turned: whether EXIF says to turn or mirror it.
        deep: whether it is grey with more than 8 bits a pixel.
        frames: whether it has more than one frame or page.
    """

    height: int
    width: int
    channels: int
    transparent: bool = False
    turned: bool = False
    deep: bool = False
    frames: bool = False


@cache
def image_suffixes() -> frozenset[str]:
    """Endings, in lower case with their dot, of the files that are read as images; of HEIF where pillow-heif is."""
    known: dict[str, str] = _pillow().registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in FORMATS)


def is_image(path: Path) -> bool:
    """Whether a file is to be read as an image, by its name: a leading dot marks what a Mac leaves beside it."""
    return path.suffix.lower() in image_suffixes() and not path.name.startswith(".")


def header(data: bytes, where: str) -> Header:
    """What the image says of itself, without decoding its pixels, so that `transparent` is not known.

    DataError, naming `where`: it is none.
    """
    with _opened(data, where) as image:
        return _header(image)


def decode(data: bytes, size: tuple[int, int], where: str, channels: int = 3) -> Pixels:
    """uint8 (channels, height, width), RGB or grey, of an image brought to `size`, (height, width).

    It is turned upright where its EXIF says how. Other sizes go through a box filter (the mean of the pixels covered);
    colour becomes grey, and grey three equal channels; transparent parts are drawn on white; of 16 bits the upper 8
    are kept; of several frames or pages the first is taken. DataError naming `where` if the bytes are no whole image
    of `FORMATS`, hold numbers without a known range (32 bits a pixel), or so many pixels that Pillow takes them for an
    attack (a decompression bomb).
    """
    return decode_with_header(data, size, where, channels)[0]


def decode_with_header(data: bytes, size: tuple[int, int], where: str, channels: int = 3) -> tuple[Pixels, Header]:
    """As `decode`, and what the image was before."""
    with _opened(data, where) as image:
        was, orientation = _header(image), _orientation(image)
        flat, transparent = _flat(image)
        return _pixels(_upright(flat, orientation), size, channels), replace(was, transparent=transparent)


def reshape(pixels: Pixels, size: tuple[int, int], channels: int) -> Pixels:
    """An image that is an array already, (1 or 3, height, width), brought to `size` and `channels` as `decode` does."""
    image = _pillow().fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    return _pixels(image, size, channels)


def _pillow() -> Any:
    pillow = require("PIL.Image")
    _register_heif()
    return pillow


@cache
def _register_heif() -> None:
    """Where pillow-heif is installed, Pillow reads the photos of iPhones with it, once it has been told."""
    with suppress(ModuleNotFoundError):
        import_module("pillow_heif").register_heif_opener()


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[Any]:
    pillow = _pillow()
    bomb, bomb_warning = pillow.DecompressionBombError, pillow.DecompressionBombWarning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that are not quite in order
            warnings.simplefilter("error", bomb_warning)
            with pillow.open(io.BytesIO(data), formats=_readable()) as image:
                yield image
    except pillow.UnidentifiedImageError as error:
        raise DataError(f"{where}: the image cannot be decoded ({_what(data)})") from error
    except (bomb, bomb_warning) as error:
        raise DataError(f"{where}: the image cannot be decoded ({error}): make it smaller") from error
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, struct.error, ...
        raise DataError(f"{where}: the image cannot be decoded ({error})") from error


@cache
def _readable() -> tuple[str, ...]:
    """The formats that this Pillow has, the usual ones first."""
    pillow = _pillow()
    pillow.init()
    return tuple(kind for kind in FORMATS if kind in pillow.OPEN)


def _what(data: bytes) -> str:
    """Why bytes are no image, as far as one can see."""
    if not data:
        return "the file is empty"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return f"it is HEIC: {NO_HEIF}"
    return f"it is none of {', '.join(_readable())}, or not whole"


def _header(image: Any) -> Header:
    grey, turn = image.mode.partition(";")[0] in _GREY, _orientation(image)
    height, width = (image.width, image.height) if turn >= 5 else (image.height, image.width)
    # A JPEG with several pictures (MPO) is one photo with what cameras add to it.
    frames = image.format != "MPO" and getattr(image, "is_animated", False)
    deep = image.mode.startswith("I")
    return Header(height, width, 1 if grey else 3, turned=turn > 1, deep=deep, frames=frames)


def _orientation(image: Any) -> int:
    """EXIF's, from 1 (upright) to 8; 1 where EXIF cannot be read, and for a TIFF, which Pillow turns itself."""
    if image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's reader of EXIF raises SyntaxError, struct.error, ...
        return 1
    return found if found in _TURNS else 1


def _upright(image: Any, orientation: int) -> Any:
    return image if orientation == 1 else image.transpose(_pillow().Transpose[_TURNS[orientation]])


def _flat(image: Any) -> tuple[Any, bool]:
    """The image without transparency or more than 8 bits a channel, and whether a pixel of it was transparent."""
    pillow = _pillow()
    if image.mode.startswith("I"):  # Pillow's own conversion from 16 bits cuts off instead of scaling
        upper, transparent = _upper_bits(image)
        return pillow.fromarray(upper), transparent
    if image.mode == "F":
        raise ValueError("it holds floating numbers, whose range is not known; save 8 or 16 bits")
    if not image.has_transparency_data:
        return image, False
    flat, transparent = pillow.new("RGB", image.size), False
    for top in range(0, image.height, _STRIP):  # whole, it would be four images of that size at once
        box = (0, top, image.width, min(top + _STRIP, image.height))
        part = image.crop(box).convert("RGBA")
        transparent = transparent or part.getextrema()[3][0] < 255
        flat.paste(pillow.alpha_composite(pillow.new("RGBA", part.size, "white"), part).convert("RGB"), box)
    return flat, transparent


def _upper_bits(image: Any) -> tuple[Pixels, bool]:
    """The upper 8 of a grey image's bits, white where it is transparent, and whether it is so anywhere."""
    if image.mode == "I" and image.format == "TIFF":
        raise ValueError("it holds numbers of 32 bits or with a sign, whose range is not known; save 8 or 16 bits")
    bits = image.tag_v2.get(_BITS, (16,))[0] if image.format == "TIFF" else 16
    clear, transparent = image.info.get("transparency"), False
    upper = np.empty((image.height, image.width), dtype=np.uint8)
    for top in range(0, image.height, _STRIP):
        values = np.asarray(image.crop((0, top, image.width, min(top + _STRIP, image.height)))).astype(np.int64)
        part = (values >> (bits - 8)).clip(0, 255).astype(np.uint8)
        if clear is not None:
            part[values == clear] = 255
            transparent = transparent or bool((values == clear).any())
        upper[top : top + _STRIP] = part
    return upper, transparent


def _pixels(image: Any, size: tuple[int, int], channels: int) -> Pixels:
    height, width = size
    image = image.convert("RGB" if channels == 3 else "L")
    if image.size != (width, height):
        image = image.resize((width, height), _pillow().Resampling.BOX)
    return np.asarray(image, dtype=np.uint8).reshape(height, width, channels).transpose(2, 0, 1)
