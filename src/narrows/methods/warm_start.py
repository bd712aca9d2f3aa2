"""Where a task's free weights start, for methods that let the frozen ones speak first."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from narrows.masks import pick, put_
from narrows.methods.base import Method, SharedWeights


class WarmStart(Method):
    """Starts a task from the frozen weights, and from free ones at the base network's values times `free_scale`."""

    free_scale: float

    @property
    def starts_warm(self) -> bool:
        """Whether it does so, and does not take the base network as it is."""
        return True

    def initialise(self, shared: SharedWeights, carry: Mapping[str, Tensor] | None) -> None:
        super().initialise(shared, carry)
        if self.starts_warm:
            scale_free(shared, self.free_scale)


@torch.no_grad()
def scale_free(shared: SharedWeights, factor: float) -> None:
    """Scales the free weights by `factor`, in place; not where nothing is frozen, as the first task builds on nothing.

    >>> frozen, values = torch.tensor([[True, False]]), torch.tensor([[1.0, 0.0]])
    >>> shared = SharedWeights.dense(["w"], [torch.nn.Parameter(torch.ones(1, 2))], [frozen], [values])
    >>> scale_free(shared, 0.5)
    >>> shared.params[0].detach()
    tensor([[1.0000, 0.5000]])
    """
    if factor == 1 or shared.frozen_count() == 0:
        return
    for param, at in zip(shared.params, shared.frozen_at, strict=True):
        frozen = pick(param, at)
        put_(param.mul_(factor), at, frozen)
