"""Choosing which weights stay: by budget (the best k) or by price (all above a threshold)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from narrows.errors import NonFiniteError

LONG = 10_000
"""Length from which a sample is worth taking."""

SAMPLED = 17
"""Of so many values, one is in the sample; prime, so that it falls on no one column of a matrix."""


def best(scores: Tensor, candidates: Tensor, count: int, sizes: Tensor | None = None) -> Tensor:
    """Mask of the `count` candidates with the highest score: never more, fewer only if there are fewer.

    Of equal scores those of the larger `sizes` stay, and of those equal too the first by position, so that a budget is
    met exactly and the choice is deterministic. Scores of exactly 0 are common: weights of a unit that never fired.

    Args:
        scores: any shape, non-NaN.
        candidates: bool, same shape; nothing else is chosen.
        count: how many to keep.
        sizes: what decides between equal scores, same shape, non-NaN.

    Raises:
        NonFiniteError: a candidate's score is NaN.

    >>> best(torch.tensor([3., 1., 2., 9.]), torch.tensor([True, True, True, False]), 2)
    tensor([ True, False,  True, False])
    >>> best(torch.zeros(3), torch.ones(3, dtype=torch.bool), 1, sizes=torch.tensor([1., 2., 2.]))
    tensor([False,  True, False])
    """
    values = scores[candidates]
    chosen = torch.zeros_like(candidates)
    chosen[candidates] = _top(values, count, None if sizes is None else lambda: sizes[candidates])
    return chosen


def above(scores: Tensor, candidates: Tensor, threshold: float) -> Tensor:
    """Mask of the candidates whose score is strictly above `threshold`."""
    return candidates & (scores > threshold)


def best_each(scores: Sequence[Tensor], fraction: float, sizes: Sequence[Tensor] | None = None) -> list[Tensor]:
    """For each tensor apart, the mask of its best `fraction` (at least one weight; rounded down).

    Between equal scores `sizes` decide, as in `best`.
    """
    rows = zip(scores, [None] * len(scores) if sizes is None else sizes, strict=True)
    return [
        _top(
            score.reshape(-1),
            max(1, int(fraction * score.numel())),
            None if size is None else partial(size.reshape, -1),
        ).view(score.shape)
        for score, size in rows
    ]


def _top(values: Tensor, count: int, sizes: Callable[[], Tensor] | None = None) -> Tensor:
    """Mask of the `count` highest of a vector; where some are equal those of larger `sizes`, then the first ones."""
    available = values.numel()
    if available and torch.isnan(values.max()):  # the maximum of what holds a NaN is NaN
        raise NonFiniteError(
            "a weight's score is NaN: the gradients were not finite. Lower the learning rate or clip them."
        )
    if count >= available:
        return torch.ones_like(values, dtype=torch.bool)
    if count <= 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = _nth_highest(values, count)
    kept = values >= threshold
    surplus = int(kept.sum()) - count
    if surplus:
        ties = (values == threshold).nonzero().squeeze(1)
        if sizes is None:
            kept[ties[-surplus:]] = False
        else:
            kept[ties] = _top(sizes()[ties], len(ties) - surplus)
    return kept


def _nth_highest(values: Tensor, n: int) -> Tensor:
    """The n-th highest of a vector without NaN, counted from 1; exact.

    On a CPU kthvalue moves the whole vector about. In a long one, a sample tells between which values to look, and
    what lies there is few; where the sample misleads, nothing but the time is lost.
    """
    size = values.numel()
    if size >= LONG and values.device.type == "cpu":
        sample = values[::SAMPLED].contiguous()
        rank, margin = (size - n) // SAMPLED, 2 * math.isqrt(len(sample))
        low = sample.kthvalue(max(rank - margin, 1)).values
        high = sample.kthvalue(min(rank + margin, len(sample))).values
        between = values[(values >= low) & (values <= high)]
        left = n - int((values > high).sum())
        if 0 < left <= len(between):
            return between.kthvalue(len(between) - left + 1).values
    try:
        return values.kthvalue(size - n + 1).values
    except NotImplementedError:  # on Apple's GPUs, before PyTorch 2.9
        return values.sort().values[size - n]
