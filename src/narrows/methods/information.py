"""How much the loss depends on each weight: the diagonal Fisher information, as a moving average.

The square of a mini-batch's mean gradient is, near a minimum, F / batch size on average. The factor is common to
all weights, so the ranking by theta^2 F does not need it. Knows gradients only: no masks, no steps of a task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from narrows.methods.base import SharedWeights, copy_each
from narrows.methods.evidence import Evidence


class FisherAverage(Evidence):
    """A moving average of the squared gradient of each parameter, started at 0 and corrected for that.

    Each parameter has its own count. A step without a gradient (None, or zeros all over: frozen, or not used) says
    nothing of a parameter: its average stays, and counts for the less, the longer ago it was, when the next gradient
    comes. Before its first gradient the F of all its weights count as equal.

    Args:
        shared: the parameters whose gradients are seen.
        method: as of `Evidence`.
        decay: of the average, in [0, 1).

    >>> param = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    >>> none = torch.zeros(2)
    >>> fisher = FisherAverage(SharedWeights(("w",), [param], [none.bool()], [none]), "ibm", decay=0.5)
    >>> fisher.scores([param])
    [tensor([4., 9.])]
    >>> param.grad = torch.tensor([1.0, 2.0])
    >>> fisher.add()
    >>> fisher.scores([param])
    [tensor([ 4., 36.])]
    """

    def __init__(self, shared: SharedWeights, method: str, decay: float) -> None:
        super().__init__(shared, method)
        self._params, self._decay = shared.params, decay
        # In bfloat16 a moving average with decay 0.95 would stand still.
        self._averages = [
            torch.zeros_like(param, dtype=torch.promote_types(param.dtype, torch.float32)) for param in self._params
        ]
        # As many steps in a row with a gradient as an average is worth, and steps since its last one.
        self._counts, self._ages = [0.0] * len(self._params), [0] * len(self._params)

    @torch.no_grad()
    def add(self) -> None:
        """Takes the gradients of the moment in: dense, before they are masked."""
        super().add()
        there = [
            (at, param.grad.to(average.dtype))
            for at, (average, param) in enumerate(zip(self._averages, self._params, strict=True))
            if param.grad is not None
        ]
        norms = torch.stack([torch.linalg.vector_norm(grad) for _, grad in there]).tolist() if there else []
        told = {at: grad for (at, grad), norm in zip(there, norms, strict=True) if norm}
        if told:
            averages, grads = [self._averages[at] for at in told], list(told.values())
            torch._foreach_mul_(averages, [self._count(at) for at in told])
            torch._foreach_addcmul_(averages, grads, grads, 1 - self._decay)
        self._ages = [0 if at in told else age + 1 for at, age in enumerate(self._ages)]

    def state(self) -> dict[str, Any]:
        """What it has seen, as a tree."""
        counted = {"counts": list(self._counts), "ages": list(self._ages), "averages": list(self._averages)}
        return super().state() | counted

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        super().load_state(state)
        self._counts, self._ages = list(state["counts"]), list(state["ages"])
        copy_each(self._averages, state["averages"])

    @torch.no_grad()
    def scores(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """theta^2 F of each weight, F being the average; `weights` are the thetas, in the parameters' shapes."""
        scores = []
        for weight, average, count in zip(weights, self._averages, self._counts, strict=True):
            square = weight.detach().to(average.dtype).square()
            scores.append(square.mul_(average).div_(1 - self._decay**count) if count else square)
        return scores

    def _count(self, at: int) -> float:
        """Counts a gradient of that parameter; returns what its average is multiplied with."""
        aged = self._decay ** self._ages[at]
        if self._ages[at]:
            # Of an average worth c steps a share of 1 - decay^c is filled, and has shrunk by `aged` since.
            filled = aged * (1 - self._decay ** self._counts[at])
            self._counts[at] = math.log1p(-filled) / math.log(self._decay or 1e-30)
        self._counts[at] += 1
        return self._decay * aged
