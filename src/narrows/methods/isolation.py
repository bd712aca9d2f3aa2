"""Holding still what must not move: the arithmetic that every isolating learner shares."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from narrows.methods.base import SharedWeights


class Isolator:
    """Keeps the shared parameters at: trained where claimed, the frozen value where reused, 0 elsewhere.

    Values are restored after the optimizer's step, not only gradients zeroed before it, so weight decay,
    momentum and any optimizer's state are powerless against a frozen weight.
    """

    def __init__(self, shared: SharedWeights) -> None:
        self._shared = shared
        self._trainable: list[Tensor] = []
        self._held: list[Tensor] = []
        self.use([torch.ones_like(mask) for mask in shared.frozen])

    def use(self, masks: list[Tensor], claims: Sequence[Tensor] | None = None) -> None:
        """From now on the task uses the weights in `masks` and trains `claims`, by default those not frozen.

        Both are bool, one tensor for each parameter.
        """
        self.masks = masks
        if claims is None:
            claims = [mask & ~frozen for mask, frozen in zip(masks, self._shared.frozen, strict=True)]
        self.claims = list(claims)
        rows = list(zip(masks, self.claims, self._shared.values, strict=True))
        self._trainable = [claim.to(value.dtype) for _, claim, value in rows]
        self._held = [torch.where(mask & ~claim, value, torch.zeros_like(value)) for mask, claim, value in rows]

    def mask_gradients(self) -> None:
        """The optimizer shall see the gradient of what is trained: zero for reused and dropped weights."""
        grads, factors = [], []
        for param, factor in zip(self._shared.params, self._trainable, strict=True):
            if param.grad is not None:
                grads.append(param.grad)
                factors.append(factor)
        if grads:
            torch._foreach_mul_(grads, factors)

    @torch.no_grad()
    def restore(self) -> None:
        """Reused weights back to their frozen values, dropped ones to exactly 0."""
        params: list[Tensor] = list(self._shared.params)
        torch._foreach_mul_(params, self._trainable)
        torch._foreach_add_(params, self._held)
