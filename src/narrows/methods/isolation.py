"""Holding still what must not move: the arithmetic that every isolating learner shares."""

from __future__ import annotations

import torch
from torch import Tensor

from narrows.methods.base import SharedWeights


class Isolator:
    """Keeps the shared parameters at `mask * (frozen value or trained weight)`.

    Values are restored after the optimizer's step, not only gradients zeroed before it, so weight decay,
    momentum and any optimizer's state are powerless against a frozen weight.
    """

    def __init__(self, shared: SharedWeights) -> None:
        self._shared = shared
        self._trainable: list[Tensor] = []
        self._held: list[Tensor] = []
        self.use([torch.ones_like(mask) for mask in shared.frozen])

    def use(self, masks: list[Tensor]) -> None:
        """From now on the task uses the weights in `masks` (bool, one for each parameter)."""
        self.masks = masks
        rows = list(zip(masks, self._shared.frozen, self._shared.values, strict=True))
        self._trainable = [(mask & ~frozen).to(value.dtype) for mask, frozen, value in rows]
        self._held = [torch.where(mask & frozen, value, torch.zeros_like(value)) for mask, frozen, value in rows]

    def mask_gradients(self) -> None:
        """The optimizer shall see the sub-network's gradient: zero for frozen and dropped weights."""
        grads, factors = [], []
        for param, factor in zip(self._shared.params, self._trainable, strict=True):
            if param.grad is not None:
                grads.append(param.grad)
                factors.append(factor)
        if grads:
            torch._foreach_mul_(grads, factors)

    @torch.no_grad()
    def restore(self) -> None:
        """Frozen weights back to their values, dropped ones to exactly 0."""
        params: list[Tensor] = list(self._shared.params)
        torch._foreach_mul_(params, self._trainable)
        torch._foreach_add_(params, self._held)
