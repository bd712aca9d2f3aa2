"""Images from a source to one uint8 array, and their channels' mean and standard deviation.

Knows no targets.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from narrows.data.column import Values
from narrows.data.decoding import Header, Pixels, decode_with_header, header, reshape
from narrows.data.faults import Faults, at
from narrows.data.inputs import ImageInputs
from narrows.data.limits import ROW, require_room
from narrows.data.options import DataOptions
from narrows.data.sources.raw import Raw
from narrows.errors import DataError

Shape = tuple[int, int, int]


def images_in(array: Values) -> Pixels | None:
    """The array as uint8 images (n, channels, height, width), 1 or 3 channels; None where it is something else.

    Read as images: uint8 of (n, H, W), (n, C, H, W) and (n, H, W, C). DataError: both of the latter would fit.

    >>> images_in(np.zeros((5, 28, 28, 3), dtype=np.uint8)).shape
    (5, 3, 28, 28)
    """
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        return None
    if array.ndim == 3:
        return array[:, None]
    first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if first and last:
        raise DataError(f"images {array.shape} may have their channels first or last; save them as (n, H, W) or float")
    if last:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    return array if first else None


def fit_shape(raw: Raw, found: Pixels | None, options: DataOptions, faults: Faults) -> Shape:
    """(channels, height, width) that the images are to have: what was asked for, or else what they have.

    DataError: they differ and no size was asked for (names also those that are broken), or none can be read.
    """
    size = options.sides
    if size is not None and options.channels is not None:
        return (options.channels, *size)
    if found is not None:
        channels, height, width = found.shape[1:]
    else:
        channels, height, width = _survey(raw, faults, ask_size=size is None)
    return (options.channels or channels, *(size or (height, width)))


def read_images(raw: Raw, found: Pixels | None, shape: Shape, faults: Faults) -> Pixels:
    """uint8 (n, *shape). Images that cannot be decoded are faults, and black here; what was changed is noted."""
    channels, height, width = shape
    if found is not None:
        changed = Header(found.shape[2], found.shape[3], found.shape[1])
        _note_changes(Counter({changed: len(found)}), shape, faults)
        if found.shape[1:] == shape:
            return found
        return np.stack([reshape(image, (height, width), channels) for image in found])
    require_room(len(raw) * (math.prod(shape) + ROW), None, f"{raw.where}: {len(raw)} images of {height} x {width}")
    x = np.zeros((len(raw), *shape), dtype=np.uint8)
    seen: Counter[Header] = Counter()
    brightest = 0
    for row in range(len(raw)):
        try:
            x[row], was = decode_with_header(_data(raw, row), (height, width), "", channels)
        except DataError as error:
            faults.add([row], str(error).removeprefix(": "))
        else:
            seen[was] += 1
            brightest = max(brightest, int(x[row].max())) if was.deep else brightest
    _note_changes(seen, shape, faults)
    if any(was.deep for was in seen) and brightest < 128:
        faults.note(
            f"the brightest pixel of those with more than 8 bits is {brightest} of 255: where a camera fills only some "
            "of its 16 bits, scale its values up, or their fine steps are lost"
        )
    return x


def fit_images(x: Pixels) -> ImageInputs:
    """The shape, and the mean and standard deviation of each channel, exact: from counts of the 256 values."""
    channels, height, width = x.shape[1:]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(x), 4096):
        for channel in range(channels):
            counts[channel] += np.bincount(x[start : start + 4096, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    std[std == 0] = 1.0  # a channel of one value: centred, not scaled
    return ImageInputs(channels, height, width, tuple(mean.tolist()), tuple(std.tolist()))


def _data(raw: Raw, row: int) -> bytes:
    assert raw.image is not None
    try:
        return raw.image(row)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error}") from error


def _survey(raw: Raw, faults: Faults, ask_size: bool) -> Shape:
    """What the images have: the channels that keep all colour, and the one size; 1 x 1 where that is not asked."""
    sizes: dict[tuple[int, int], str] = {}
    grey, packed = True, 0
    for row in range(len(raw)):
        try:
            data = _data(raw, row)
            found = header(data, at(row))
        except DataError:
            continue  # named when it is decoded
        packed += len(data)
        grey = grey and found.channels == 1
        sizes.setdefault((found.height, found.width), raw.ids[row])
    if ask_size and len(sizes) > 1:
        (first, one), (second, other) = list(sizes.items())[:2]
        faults.refuse(
            f"the images have {len(sizes)} different sizes: {one} has {first[0]} x {first[1]} pixels, {other} has "
            f"{second[0]} x {second[1]}. Say image_size (--image-size), and all are resized to it"
        )
    if not sizes or (ask_size and len(sizes) > 1):
        read_images(raw, None, (1, 1, 1), faults)  # finds all that are broken, so that one run tells of them
        faults.settle()
    height, width = next(iter(sizes)) if ask_size else (1, 1)
    channels = 1 if grey else 3
    if ask_size:  # a size that was asked for is the user's own
        announced = len(raw) * (channels * height * width + ROW)
        require_room(announced, packed, f"{raw.where}: {len(raw)} images of {height} x {width} pixels")
    return (channels, height, width)


def _note_changes(seen: Counter[Header], shape: Shape, faults: Faults) -> None:
    channels, height, width = shape
    total = sum(seen.values())
    for changed, what in (
        ([h.turned for h in seen], "turned or mirrored as their EXIF says"),
        ([(h.height, h.width) != (height, width) for h in seen], f"resized to {height} x {width} pixels"),
        ([h.height * width != h.width * height for h in seen], "stretched for it, as their sides are in another ratio"),
        ([h.channels < channels for h in seen], "grey and got three equal channels"),
        ([h.channels > channels for h in seen], "coloured and made grey"),
        ([h.transparent for h in seen], "transparent in parts and drawn on white"),
        ([h.deep for h in seen], "grey with more than 8 bits a pixel, of which the upper 8 were kept"),
        ([h.frames for h in seen], "of several frames or pages, of which the first was taken"),
    ):
        count = sum(number for number, yes in zip(seen.values(), changed, strict=True) if yes)
        if count:
            faults.note(f"{count} of {total} images were {what}")
