"""NPZ files: NumPy arrays by name, none of them pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from narrows.data.column import Column, Values, from_numpy
from narrows.data.sources.raw import Raw
from narrows.errors import DataError, nearest

INPUTS = ("x", "inputs", "features", "images", "data")


def open_npz(path: Path, features: tuple[str, ...] | None) -> Raw:
    """The array `features`, or else the one named x, inputs, features, images or data, with the others beside it.

    Raises:
        DataError: no whole NPZ file, pickled (object) arrays, no array for the inputs or several.
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
            held = np.load(file, allow_pickle=False)
            if isinstance(held, np.lib.npyio.NpzFile):
                return list(held.files)
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
            f"{', '.join(INPUTS)}; there are {', '.join(keys) or 'none'}. Name it with features"
        )
    return found[0]


def _read(path: Path, key: str) -> Values:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            array: Any = held[key]
    except Exception as error:  # as above; and a header that asks for more memory than there is
        way_out = "; save it as numbers or text, not as Python objects" if "pickle" in str(error) else ""
        raise DataError(f"{path}: {key!r} cannot be read: {error}{way_out}") from error
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise DataError(f"{path}: {key!r} is not an array with rows")
    return array
