"""How much the loss depends on each weight: the diagonal Fisher information, as a moving average.

The square of a mini-batch's mean gradient is, near a minimum, F / batch size on average. The factor is common to
all weights, so the ranking by theta^2 F does not need it. Knows gradients only: no masks, no steps of a task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from narrows.masks import pick
from narrows.methods.base import SharedWeights
from narrows.methods.evidence import Evidence

UNREAD = 256
"""Steps after which the notes on zero gradients are read at the latest."""


class FisherAverage(Evidence):
    """A moving average of the squared gradient of each parameter, started at 0 and corrected for that.

    Each parameter has its own count. A step without a gradient (None, or zeros all over: frozen, or not used) says
    nothing of a parameter: its average stays, and counts for the less, the longer ago it was, when the next gradient
    comes. Before its first gradient the F of all its weights count as equal.

    Which gradients were zeros is noted on the device and read when scores are asked for: no step waits for it.

    Args:
        shared: the parameters whose gradients are seen.
        method: as of `Evidence`.
        decay: of the average, in [0, 1).

    >>> param = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    >>> none = torch.zeros(2)
    >>> fisher = FisherAverage(SharedWeights.dense(("w",), [param], [none.bool()], [none]), "ibm", decay=0.5)
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
        self._kept_only = False
        # In bfloat16 a moving average with decay 0.95 would stand still.
        self._averages = [
            torch.zeros_like(param, dtype=torch.promote_types(param.dtype, torch.float32)) for param in self._params
        ]
        # As many steps in a row with a gradient as an average is worth, and steps since its last one.
        self._counts, self._ages = [0.0] * len(self._params), [0] * len(self._params)
        self._unread: list[Tensor] = []  # of each step since: bool, which parameters had a gradient
        self._shrink = self._shrunk()

    @torch.no_grad()
    def add(self) -> None:
        """Takes the gradients of the moment in: dense, before they are masked."""
        super().add()
        pairs = zip(self._averages, self._params, strict=True)
        grads = [None if param.grad is None else param.grad.to(average.dtype) for average, param in pairs]
        there = [grad for grad in grads if grad is not None]
        if not there:
            self._unread.append(torch.zeros(len(grads), dtype=torch.bool))
            self._shrink = self._shrink * self._decay
            return
        norms = iter(torch._foreach_norm(there))
        none = self._shrink.new_zeros(())
        told = torch.stack([none if grad is None else next(norms).to(none.dtype) for grad in grads]) != 0
        self._unread.append(told)
        if len(self._unread) >= UNREAD:
            self._read()
        factors = torch.where(told, self._shrink, 1.0).unbind()
        rows = [row for row in zip(self._averages, factors, grads, strict=True) if row[2] is not None]
        averages = [average for average, _, _ in rows]
        torch._foreach_mul_(averages, [factor for _, factor, _ in rows])
        torch._foreach_addcmul_(averages, there, there, 1 - self._decay)  # of a gradient of zeros it adds nothing
        self._shrink = torch.where(told, self._decay, self._shrink * self._decay)

    def let_go(self, kept: Sequence[Tensor]) -> None:
        self._read()
        self._averages = [pick(average, at) for average, at in zip(self._averages, kept, strict=True)]
        self._kept_only = True

    def state(self) -> dict[str, Any]:
        """What it has seen, as a tree."""
        self._read()
        counted = {"counts": list(self._counts), "ages": list(self._ages), "averages": list(self._averages)}
        return super().state() | counted | {"kept_only": self._kept_only}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        super().load_state(state)
        self._counts, self._ages, self._unread = list(state["counts"]), list(state["ages"]), []
        self._averages = [
            average.to(param.device, copy=True) for average, param in zip(state["averages"], self._params, strict=True)
        ]
        self._kept_only = state["kept_only"]
        self._shrink = self._shrunk()

    @torch.no_grad()
    def scores(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> list[Tensor]:
        """theta^2 F of each weight, F being the average; the tensors lie one after another in `joined`'s.

        Args:
            weights: the thetas, in the parameters' shapes; or those at the positions `at`, 1-D.
            at: after `let_go` the positions that were kept then.
        """
        whole = self.joined(weights, at)
        parts = torch.split(whole, [weight.numel() for weight in weights])
        return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]

    @torch.no_grad()
    def joined(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> Tensor:
        """`scores` as one vector: in one piece of memory from the start, as they are as many as the weights."""
        self._read()
        sizes = [weight.numel() for weight in weights]
        whole = torch.empty(sum(sizes), **self._kind())
        rows = zip(torch.split(whole, sizes), weights, self._averages, self._counts, strict=True)
        for index, (flat, weight, average, count) in enumerate(rows):
            part = flat.view(weight.shape)
            torch.square(weight.detach().to(part.dtype), out=part)
            if count:
                if at is not None and not self._kept_only:
                    average = pick(average, at[index])
                part.mul_(average).div_(1 - self._decay**count)
        return whole

    def _read(self) -> None:
        """Counts the steps since it was last asked. It waits for the device."""
        if self._unread:
            device = self._unread[-1].device
            for told in torch.stack([step.to(device) for step in self._unread]).tolist():
                for at, was_told in enumerate(told):
                    if was_told:
                        self._count(at)
                    self._ages[at] = 0 if was_told else self._ages[at] + 1
            self._unread = []

    def _shrunk(self) -> Tensor:
        """What each average is multiplied with when its next gradient comes."""
        return torch.tensor([self._decay * self._decay**age for age in self._ages], **self._kind())

    def _kind(self) -> dict[str, Any]:
        """dtype and device of what is made of all averages."""
        dtypes = [average.dtype for average in self._averages]
        device = self._averages[0].device if self._averages else None
        return {"dtype": reduce(torch.promote_types, dtypes, torch.float32), "device": device}

    def _count(self, at: int) -> None:
        """Counts a gradient of that parameter."""
        if self._ages[at]:
            # Of an average worth c steps a share of 1 - decay^c is filled, and has shrunk since.
            filled = self._decay ** self._ages[at] * (1 - self._decay ** self._counts[at])
            self._counts[at] = math.log1p(-filled) / math.log(self._decay or 1e-30)
        self._counts[at] += 1
