"""Arrays of numbers to float32, and their scale. Knows no files and no targets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from narrows.data.column import Values, any_in_row
from narrows.data.faults import Faults
from narrows.data.inputs import ArrayInputs
from narrows.errors import DataError


def read_array(array: Values, faults: Faults) -> npt.NDArray[np.float32]:
    """float32 (n, ...), at least two dimensions; rows with NaN or infinite numbers are faults.

    DataError: not an array of numbers, or one whose rows are empty.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{faults.where}: the inputs are an array of {array.dtype}; needs numbers")
    if array.ndim == 1:
        array = array[:, None]
    if not array.size:
        raise DataError(f"{faults.where}: the inputs are an empty array {array.shape}")
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.kind == "f":
        faults.add(any_in_row(np.isnan(x)), "an input is NaN")
        faults.add(any_in_row(np.isinf(x)), "an input is infinite, or too large for float32")
    return x


def fit_array(x: npt.NDArray[np.float32]) -> ArrayInputs:
    """The shape, and mean and standard deviation along the first dimension of an example, computed in float64."""
    rest = (0, *range(2, x.ndim))
    mean = x.mean(axis=rest, dtype=np.float64)
    variance = np.zeros_like(mean)
    shape = (-1, *(1,) * (x.ndim - 2))
    for part in np.array_split(x, max(1, x.size >> 22)):
        variance += ((part - mean.reshape(shape)) ** 2).sum(axis=rest)
    std = np.sqrt(variance / (x.size / len(mean)))
    # What rounding leaves of the mean is no spread: a constant feature is centred and not scaled.
    std[std <= 1e-7 * np.abs(mean)] = 1.0
    std[std == 0] = 1.0
    return ArrayInputs(tuple(x.shape[1:]), tuple(mean.tolist()), tuple(std.tolist()))
