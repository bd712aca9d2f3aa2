"""Choosing which weights stay: by budget (the best k) or by price (all above a threshold).

Of equal scores those of the larger sizes stay, and of those equal too the first by position, so that a budget is met
exactly and the choice is deterministic. Scores of exactly 0 are common: weights of a unit that never fired. The same
choice is made in three ways: by NumPy where the scores are on the CPU, which is many times faster than torch there; by
torch; and by torch without ever making the host wait for the device, for what is chosen at each step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from narrows.errors import NonFiniteError
from narrows.masks import host
from narrows.masks.host import NAN, Magnitudes


class NaNWatch:
    """Notes on the device whether a score was NaN, so that nobody has to wait for it at each step.

    >>> watch = NaNWatch()
    >>> watch.add(torch.tensor(False))
    >>> watch.require()
    """

    def __init__(self) -> None:
        self._seen: Tensor | None = None

    def add(self, is_nan: Tensor) -> None:
        """Takes in one answer: bool, of no dimension."""
        self._seen = is_nan if self._seen is None else self._seen.to(is_nan.device) | is_nan

    def require(self) -> None:
        """Raises NonFiniteError where one was. It waits for the device: ask now and then."""
        if self._seen is not None and bool(self._seen):
            raise NonFiniteError(NAN)


def best(scores: Tensor, candidates: Tensor, count: int, sizes: Magnitudes | None = None) -> Tensor:
    """Mask of the `count` candidates with the highest score: never more, fewer only if there are fewer.

    Args:
        scores: any shape; NaN only where there is no candidate.
        candidates: bool, same shape; nothing else is chosen.
        count: how many to keep.
        sizes: what decides between equal scores.

    Raises:
        NonFiniteError: a candidate's score is NaN.

    >>> best(torch.tensor([3., 1., 2., 9.]), torch.tensor([True, True, True, False]), 2)
    tensor([ True, False,  True, False])
    >>> best(torch.zeros(3), torch.ones(3, dtype=torch.bool), 1, sizes=lambda at: torch.tensor([1., 2., 2.])[at])
    tensor([False,  True, False])
    """
    if _on_host(scores):
        return _by_host(scores, candidates, count, sizes)
    at = candidates.reshape(-1).nonzero().squeeze(1)
    stay = _torch(scores.reshape(-1)[at], count, sizes and (lambda ties: sizes(at if ties is None else at[ties])))
    return torch.zeros_like(candidates).view(-1).index_copy_(0, at, stay).view(scores.shape)


def top(scores: Tensor, count: int, sizes: Magnitudes | None = None) -> Tensor:
    """`best` where all are candidates.

    >>> top(torch.tensor([3., 1., 2.]), 2)
    tensor([ True, False,  True])
    """
    if _on_host(scores):
        return _by_host(scores, None, count, sizes)
    return _torch(scores.reshape(-1), count, sizes).view(scores.shape)


def above(scores: Tensor, candidates: Tensor, threshold: float) -> Tensor:
    """Mask of the candidates whose score is strictly above `threshold`."""
    return candidates & (scores > threshold)


def best_each(
    scores: Sequence[Tensor],
    fraction: float,
    sizes: Sequence[Magnitudes] | None = None,
    watch: NaNWatch | None = None,
) -> list[Tensor]:
    """For each tensor apart, the mask of its best `fraction` (at least one weight; rounded down).

    Args:
        scores: any shapes.
        fraction: of each tensor's weights.
        sizes: what decides between equal scores.
        watch: is told of NaN where the scores are on a device, which is then not waited for.

    Raises:
        NonFiniteError: a score is NaN; with `watch`, on the CPU only.
    """
    chosen = []
    for score, size in zip(scores, [None] * len(scores) if sizes is None else sizes, strict=True):
        count = max(1, int(fraction * score.numel()))
        if watch is None or _on_host(score):
            chosen.append(top(score, count, size))
        else:
            chosen.append(_ranked(score, count, size, watch))
    return chosen


def _on_host(scores: Tensor) -> bool:
    return scores.device.type == "cpu"


def _by_host(scores: Tensor, candidates: Tensor | None, count: int, sizes: Magnitudes | None) -> Tensor:
    among = None if candidates is None else host.array_of(candidates)
    return torch.from_numpy(host.chosen(host.array_of(scores), among, count, sizes)).view(scores.shape)


def _torch(values: Tensor, count: int, sizes: Magnitudes | None) -> Tensor:
    """Of a vector, on any device, which is waited for."""
    available = values.numel()
    if available and torch.isnan(values.max()):
        raise NonFiniteError(NAN)
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
            kept[ties] = _torch(sizes(ties), len(ties) - surplus, None)
    return kept


def _nth_highest(values: Tensor, n: int) -> Tensor:
    """The n-th highest of a vector without NaN, counted from 1; exact."""
    try:
        return values.kthvalue(values.numel() - n + 1).values
    except NotImplementedError:  # on Apple's GPUs, before PyTorch 2.9
        return values.sort().values[values.numel() - n]


def _ranked(scores: Tensor, count: int, sizes: Magnitudes | None, watch: NaNWatch) -> Tensor:
    """By sorting, stably: the best first, of equal ones the larger, then the first by position. Waits for nothing."""
    flat = scores.reshape(-1)
    if sizes is None:
        order = flat.sort(descending=True, stable=True).indices
    else:
        by_size = sizes(None).reshape(-1).sort(descending=True, stable=True).indices
        order = by_size[flat[by_size].sort(descending=True, stable=True).indices]
    watch.add(flat.index_select(0, order[:1]).isnan().any())  # NaN is the highest of all
    return torch.zeros_like(flat, dtype=torch.bool).index_fill_(0, order[:count], True).view(scores.shape)
