"""Where a task's free weights start, for methods that let the frozen ones speak first."""

from __future__ import annotations

import torch

from narrows.methods.base import SharedWeights


@torch.no_grad()
def scale_free(shared: SharedWeights, factor: float) -> None:
    """Scales the free weights by `factor`, in place; not where nothing is frozen, as the first task builds on nothing.

    >>> shared = SharedWeights(
    ...     ("w",), [torch.nn.Parameter(torch.ones(1, 2))], [torch.tensor([[True, False]])], [torch.tensor([[1., 0.]])]
    ... )
    >>> scale_free(shared, 0.5)
    >>> shared.params[0].detach()
    tensor([[1.0000, 0.5000]])
    """
    if factor == 1 or shared.frozen_count() == 0:
        return
    for param, frozen in zip(shared.params, shared.frozen, strict=True):
        param.copy_(torch.where(frozen, param, param * factor))
