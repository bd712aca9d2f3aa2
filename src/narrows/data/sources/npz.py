"""NPZ files: NumPy arrays by name, none of them pickled, none unpacked before it is known how large it is."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from narrows.data.column import Column, Values, from_numpy
from narrows.data.limits import ROW, require_room
from narrows.data.sources.raw import Raw
from narrows.errors import ConfigError, DataError, nearest

INPUTS = ("x", "inputs", "features", "images", "data")


def open_npz(path: Path, features: tuple[str, ...] | None) -> Raw:
    """The array `features`, or else the one named x, inputs, features, images or data, with the others beside it.

    Raises:
        DataError: no whole NPZ file, pickled (object) arrays, no array for the inputs or several, or one that unpacks
            to more than `require_room` allows.
    """
    keys = _keys(path)
    key = _inputs(path, keys, features)
    array = _read(path, key)
    if not array.ndim or not len(array):
        raise DataError(f"{path}: {key!r} has no rows")

    def read(name: str) -> Column:
        return from_numpy(name, _read(path, name), str(path))

    names = tuple(name for name in keys if name != key)
    return Raw(str(path), tuple(map(str, range(len(array)))), names, read, array=array)


def _keys(path: Path) -> list[str]:
    try:
        # Opened here: NumPy leaves a file open whose archive is broken.
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                file.seek(0)
                with np.load(file, allow_pickle=False) as held:
                    return list(held.files)
            file.seek(0)
            np.lib.format.read_magic(file)
    except Exception as error:  # zipfile and zlib raise many kinds
        raise DataError(f"{path} is not a whole NPZ file: {error}") from error
    raise DataError(f"{path} is a single array and not an NPZ file: save inputs and targets with numpy.savez")


def _inputs(path: Path, keys: list[str], features: tuple[str, ...] | None) -> str:
    if features is not None:
        if len(features) != 1:
            raise DataError(f"{path}: features names one array of an NPZ file, not {len(features)}")
        if features[0] not in keys:
            raise DataError(f"{path}: there is no array {features[0]!r}; {nearest(features[0], keys)}")
        return features[0]
    found = [key for key in keys if key.lower() in INPUTS]
    if len(found) != 1:
        raise DataError(
            f"{path}: {'several arrays' if found else 'no array'} for the inputs: looked for one named "
            f"{', '.join(INPUTS)}; there are {', '.join(keys[:20]) or 'none'}. Name it with features"
        )
    return found[0]


def _read(path: Path, key: str) -> Values:
    try:
        with path.open("rb") as file:
            _require_room(file, path, key)
            file.seek(0)
            with np.load(file, allow_pickle=False) as held:
                array: Any = held[key]
    except (ConfigError, DataError):
        raise
    except Exception as error:  # as above; and a header that asks for more memory than there is
        way_out = "; save it as numbers or text, not as Python objects" if "pickle" in str(error) else ""
        raise DataError(f"{path}: {key!r} cannot be read: {error}{way_out}") from error
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise DataError(f"{path}: {key!r} is not an array with rows")
    return array


def _require_room(file: IO[bytes], path: Path, key: str) -> None:
    """Compares what the array's header announces with what the archive says that there is, and both with the limit."""
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo(key if key in archive.NameToInfo else f"{key}.npy")  # as NumPy looks it up
        with archive.open(info) as member:
            shape, dtype = _header(member)
            begin = member.tell()
    elements = math.prod(shape)
    if not dtype.hasobject and elements * dtype.itemsize != info.file_size - begin:
        raise DataError(
            f"{path}: {key!r} announces an array {shape} of {dtype}, which are {elements * dtype.itemsize} bytes, and "
            f"holds {info.file_size - begin}; save it again"
        )
    # Images stay as they are, and all else becomes float32, or text of eight bytes and more.
    images = dtype == np.uint8 and len(shape) in (3, 4)
    each = 1 if images else max(dtype.itemsize, 4 if dtype.kind in "biuf" else 8)
    packed = min(info.compress_size, path.stat().st_size)
    require_room(elements * each + (shape[0] if shape else 0) * ROW, packed, f"{path}: {key!r}")


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:  # 3.0 is for named fields, of which there is no array of numbers
        raise ValueError(f"an array in the format {'.'.join(map(str, version))} of NumPy; save it as numbers or text")
    return shape, dtype
