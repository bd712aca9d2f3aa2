"""The best k of a vector on the CPU, by NumPy; exact, also where a sample says where to look.

A few are partitioned. Of many, the score of the last that is kept is bracketed by a sample, and found in two passes
over pieces that stay in the cache: no copy of them is made, and none of those that are no candidates is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from narrows.errors import NonFiniteError

Array = np.ndarray[Any, Any]

Magnitudes = Callable[[Tensor | None], Tensor]
"""What decides between equal scores, asked for where there are such: at these positions of the scores as one vector,
or (None) at all. Without NaN."""

NAN: Final = "a weight's score is NaN: the gradients were not finite. Lower the learning rate or clip them."
FEW: Final = 1 << 15
"""Up to so many scores are partitioned."""
_PIECE: Final = 1 << 16
_SAMPLE: Final = 1 << 14
_SIGMAS: Final = 5
"""The bracket's half width: beyond it the threshold lies once in millions of times, and is found all the same."""


def array_of(tensor: Tensor) -> Array:
    """As one vector; in float32 what NumPy has no type for."""
    flat = tensor.detach().reshape(-1)
    array: Array = np.asarray(flat.float() if flat.dtype in (torch.bfloat16, torch.float16) else flat)
    return array


def chosen(scores: Array, candidates: Array | None, count: int, sizes: Magnitudes | None) -> Array:
    """Mask of the `count` best; see `narrows.masks.best`."""
    available = len(scores) if candidates is None else int(np.count_nonzero(candidates))
    if available == len(scores):
        candidates = None
    if not 0 < count < available:
        if _any_nan(scores, candidates):
            raise NonFiniteError(NAN)
        everything = np.ones(len(scores), dtype=bool) if candidates is None else candidates.copy()
        return everything if count > 0 else np.zeros_like(everything)
    threshold = _threshold(scores, candidates, count, count / available)
    kept = np.empty(len(scores), dtype=bool)
    for piece in _pieces(len(scores)):
        np.greater_equal(scores[piece], threshold, out=kept[piece])
        if candidates is not None:
            kept[piece] &= candidates[piece]
    surplus = int(np.count_nonzero(kept)) - count
    if surplus:
        ties = np.flatnonzero(kept & (scores == threshold))
        if sizes is None:
            kept[ties[-surplus:]] = False
        else:
            kept[ties] = chosen(array_of(sizes(torch.from_numpy(ties))), None, len(ties) - surplus, None)
    return kept


def _threshold(scores: Array, candidates: Array | None, count: int, fraction: float) -> Any:
    """The score of the last of the `count` best."""
    if len(scores) <= FEW:
        return _partitioned(scores if candidates is None else scores[candidates], count)
    low, high = _bracket(scores, candidates, fraction)
    from_high, above_low, between = 0, 0, []
    for piece in _pieces(len(scores)):
        values, among = scores[piece], None if candidates is None else candidates[piece]
        if _any_nan(values, among):
            raise NonFiniteError(NAN)
        high_ones, low_ones = values >= high, values > low
        if among is not None:
            high_ones &= among
            low_ones &= among
        from_high += int(np.count_nonzero(high_ones))
        above_low += int(np.count_nonzero(low_ones))
        between.append(values[np.flatnonzero(high_ones ^ low_ones)])
    if from_high < count <= above_low:
        return _partitioned(np.concatenate(between), count - from_high)
    edge = high if count <= from_high else low  # of many equal scores, or the sample misled
    above, from_edge = (mask if candidates is None else mask & candidates for mask in (scores > edge, scores >= edge))
    if np.count_nonzero(above) < count <= np.count_nonzero(from_edge):
        return edge
    return _partitioned(scores if candidates is None else scores[candidates], count)


def _bracket(scores: Array, candidates: Array | None, fraction: float) -> tuple[Any, Any]:
    """Two scores between which, by all that is likely, the last of this fraction of the candidates lies."""
    every = slice(None, None, len(scores) // _SAMPLE | 1)
    sample = scores[every] if candidates is None else scores[every][candidates[every]]
    sample = np.sort(sample)  # NaN last, which is found by whoever looks at all
    last = (1 - fraction) * len(sample)
    spread = _SIGMAS * (math.sqrt(last * fraction) + 1)
    low, high = math.floor(last - spread), math.ceil(last + spread)
    most = scores.dtype.type(np.inf)
    return sample[low] if low >= 0 else -most, sample[high] if high < len(sample) else most


def _partitioned(values: Array, count: int) -> Any:
    last = len(values) - count
    ordered = np.partition(values, last)
    if np.isnan(ordered[last:].max()):  # NaN is the highest of all
        raise NonFiniteError(NAN)
    return ordered[last]


def _any_nan(values: Array, among: Array | None) -> bool:
    if not len(values) or not np.isnan(values.max()):  # the maximum of what holds a NaN is NaN
        return False
    return among is None or bool(np.isnan(values[among]).any())


def _pieces(size: int) -> Iterator[slice]:
    return (slice(start, start + _PIECE) for start in range(0, size, _PIECE))
