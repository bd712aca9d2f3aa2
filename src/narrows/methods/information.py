"""How much the loss depends on each weight: the diagonal Fisher information, as a moving average.

The square of a mini-batch's mean gradient is, near a minimum, F / batch size on average. The factor is common to
all weights, so the ranking by theta^2 F does not need it. Knows gradients only: no masks, no steps of a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class FisherAverage:
    """A moving average of the squared gradient of each parameter, started at 0 and corrected for that.

    Args:
        params: the parameters whose gradients are seen.
        decay: of the average, in [0, 1).

    >>> param = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    >>> fisher = FisherAverage([param], decay=0.5)
    >>> param.grad = torch.tensor([1.0, 2.0])
    >>> fisher.add()
    >>> fisher.scores([param])
    [tensor([ 4., 36.])]
    """

    def __init__(self, params: Sequence[nn.Parameter], decay: float) -> None:
        self._params = params
        self._decay = decay
        self._count = 0
        # In bfloat16 a moving average with decay 0.95 would stand still.
        self._averages = [
            torch.zeros_like(param, dtype=torch.promote_types(param.dtype, torch.float32)) for param in params
        ]

    @torch.no_grad()
    def add(self) -> None:
        """Takes the gradients of the moment in: dense, before they are masked."""
        self._count += 1
        pairs = [
            (average, param.grad.to(average.dtype))
            for average, param in zip(self._averages, self._params, strict=True)
            if param.grad is not None
        ]
        if pairs:
            averages, grads = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            torch._foreach_mul_(averages, self._decay)
            torch._foreach_addcmul_(averages, grads, grads, 1 - self._decay)

    def state(self) -> dict[str, Any]:
        """What it has seen, as a tree."""
        return {"count": self._count, "averages": list(self._averages)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        self._count = state["count"]
        for average, value in zip(self._averages, state["averages"], strict=True):
            average.copy_(value)

    @torch.no_grad()
    def scores(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """theta^2 F of each weight, F being the average; `weights` are the thetas, in the parameters' shapes."""
        correction = 1 - self._decay ** max(self._count, 1)
        return [
            weight.detach().to(average.dtype).square().mul_(average).div_(correction)
            for weight, average in zip(weights, self._averages, strict=True)
        ]
