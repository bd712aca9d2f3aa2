"""Holding still what must not move: the arithmetic that every isolating learner shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from narrows.masks import fill_, pick, places, put_
from narrows.methods.base import SharedWeights

FEW = 0.1
"""Up to this part of the weights it is quicker to go by positions than over all of them."""


class Isolator:
    """Keeps the shared parameters at: trained where claimed, the frozen value where reused, 0 elsewhere.

    Values are restored after the optimizer's step, not only gradients zeroed before it, so weight decay,
    momentum and any optimizer's state are powerless against a frozen weight.

    Between two steps it holds one byte a weight, and positions and values of the reused ones. Nothing that is done in
    a step makes the host wait for a device.
    """

    def __init__(self, shared: SharedWeights) -> None:
        self._shared = shared
        self.hold(
            [~frozen for frozen in shared.frozen], [torch.ones_like(at, dtype=torch.bool) for at in shared.frozen_at]
        )

    def hold(self, claims: Sequence[Tensor], reused: Sequence[Tensor]) -> None:
        """From now on the task trains `claims` (bool, of a parameter's shape) and uses `reused` as they are.

        Args:
            claims: they are kept, not copied.
            reused: for each parameter, which of its frozen weights: bool, as long as `SharedWeights.frozen_at`.
        """
        self.claims = list(claims)
        self._reused = list(reused)
        rows = zip(self._shared.frozen_at, self._shared.frozen_values, reused, strict=True)
        self._back = [(at, values) if bool(kept.all()) else (at[kept], values[kept]) for at, values, kept in rows]
        self._few: list[Tensor] | None = None
        self._factors: list[Tensor] | None = None
        self._stepping = False

    def use(self, masks: Sequence[Tensor], claims: Sequence[Tensor] | None = None) -> None:
        """From now on the task uses the weights in `masks` and trains `claims`, by default those not frozen.

        Both are bool, one tensor for each parameter.
        """
        at = self._shared.frozen_at
        if claims is None:
            claims = [fill_(mask.clone(), one, value=False) for mask, one in zip(masks, at, strict=True)]
        rows = zip(masks, claims, at, strict=True)
        self.hold(claims, [pick(mask, one) & ~pick(claim, one) for mask, claim, one in rows])

    def settle(self) -> None:
        """Says that what is held is held to the end: where few weights are trained, steps go by their positions."""
        if sum(int(claim.sum()) for claim in self.claims) <= FEW * self._shared.total():
            self._few = [places(claim) for claim in self.claims]

    @property
    def masks(self) -> list[Tensor]:
        """The weights in use, bool; made anew each time."""
        rows = zip(self.claims, self._reused, self._shared.frozen_at, strict=True)
        return [put_(claim.clone(), at, pick(claim, at) | reused) for claim, reused, at in rows]

    def mask_gradients(self) -> None:
        """The optimizer shall see the gradient of what is trained: zero for reused and dropped weights."""
        self._stepping = True
        if self._few is not None:
            for param, at in zip(self._shared.params, self._few, strict=True):
                if param.grad is not None:
                    trained = pick(param.grad, at)
                    put_(param.grad.detach().zero_(), at, trained)
            return
        self._factors = self._ones()
        pairs = zip(self._shared.params, self._factors, strict=True)
        rows = [(param.grad, factor) for param, factor in pairs if param.grad is not None]
        if rows:
            torch._foreach_mul_(*map(list, zip(*rows, strict=True)))

    @torch.no_grad()
    def restore(self) -> None:
        """Reused weights back to their frozen values, dropped ones to exactly 0."""
        stepping, self._stepping = self._stepping, False
        if self._few is not None and stepping:  # else a user may have put there what is not finite: it must show
            for param, few, (at, values) in zip(self._shared.params, self._few, self._back, strict=True):
                trained = pick(param, few).add_(0.0)  # as below: a weight of -0 is 0
                put_(put_(param.zero_(), at, values), few, trained)
            return
        factors, self._factors = self._factors or self._ones(), None
        for param, factor, (at, values) in zip(self._shared.params, factors, self._back, strict=True):
            put_(_multiplied(param, param, factor), at, values)

    def _ones(self) -> list[Tensor]:
        """Only there during a step, as they are as large as the weights."""
        return [ones(claim, param) for claim, param in zip(self.claims, self._shared.params, strict=True)]


def ones(mask: Tensor, like: Tensor) -> Tensor:
    """1 where the mask is True, 0 elsewhere, of the dtype of `like`.

    By way of bytes: bools are converted, and multiplied, several times slower.
    """
    return mask.view(torch.uint8).to(like.dtype)


@torch.no_grad()
def show(params: Sequence[Tensor], weights: Iterable[Tensor], masks: Sequence[Tensor]) -> None:
    """Puts into each of `params` its `weights` where the mask is True, and 0 elsewhere."""
    for param, weight, mask in zip(params, weights, masks, strict=True):
        _multiplied(param, weight, ones(mask, weight))


def _multiplied(param: Tensor, weight: Tensor, factor: Tensor) -> Tensor:
    """Puts `weight * factor` into `param`; 0 is added to it, as it may be -0."""
    return torch.addcmul(weight.new_zeros(()), weight.detach(), factor, out=param.detach())
