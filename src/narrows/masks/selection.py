"""Choosing which weights stay: by budget (the best k) or by price (all above a threshold)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from narrows.errors import NonFiniteError


def best(scores: Tensor, candidates: Tensor, count: int) -> Tensor:
    """Mask of the `count` candidates with the highest score: never more, fewer only if there are fewer.

    Ties are broken by position, so a budget is met exactly and the choice is deterministic.

    Args:
        scores: any shape, non-NaN.
        candidates: bool, same shape; nothing else is chosen.
        count: how many to keep.

    Raises:
        NonFiniteError: a candidate's score is NaN.

    >>> best(torch.tensor([3., 1., 2., 9.]), torch.tensor([True, True, True, False]), 2)
    tensor([ True, False,  True, False])
    """
    values = scores[candidates]
    if torch.isnan(values).any():
        raise NonFiniteError(
            "a weight's score is NaN: the gradients were not finite. Lower the learning rate or clip them."
        )
    available = values.numel()
    if count >= available:
        return candidates.clone()
    kept = torch.zeros_like(values, dtype=torch.bool)
    if count > 0:
        threshold = values.kthvalue(available - count + 1).values
        kept = values > threshold
        ties = (values == threshold).nonzero().squeeze(1)
        kept[ties[: count - int(kept.sum())]] = True
    chosen = torch.zeros_like(candidates)
    chosen[candidates] = kept
    return chosen


def above(scores: Tensor, candidates: Tensor, threshold: float) -> Tensor:
    """Mask of the candidates whose score is strictly above `threshold`."""
    return candidates & (scores > threshold)


def best_each(scores: Sequence[Tensor], fraction: float) -> list[Tensor]:
    """For each tensor apart, the mask of its best `fraction` (at least one weight; rounded down)."""
    return [
        best(score, torch.ones_like(score, dtype=torch.bool), max(1, int(fraction * score.numel()))) for score in scores
    ]
