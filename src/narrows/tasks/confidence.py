"""How sure a network is of an input, by two measures that compare between tasks; `routing` says what they are for.

Knows one network and its outputs; it does not know tasks or stores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_Norm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Confidence:
    """Of one network: the batch's score, and each example's, shape (n,)."""

    batch: float
    examples: Tensor


class CannotBeRanked(Exception):
    """The measure says nothing of this network; the message says why."""


def confidence(outputs: Any) -> Confidence:
    """1 - H / log k of logits (n, k, ...), H in nats, averaged over what follows the classes.

    >>> confidence(torch.tensor([[0.0, 0.0], [0.0, 100.0]])).examples
    tensor([0., 1.])
    """
    if not isinstance(outputs, Tensor) or outputs.dim() < 2 or outputs.shape[1] < 2:
        found = f"outputs {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise CannotBeRanked(f"it gives {found} and not the logits of two classes or more")
    logs = outputs.float().log_softmax(1)
    entropy = -(logs.exp() * logs.clamp_min(torch.finfo(logs.dtype).min)).sum(1)
    examples = (1 - entropy / math.log(outputs.shape[1])).unsqueeze(-1).flatten(1).mean(1)
    return Confidence(float(examples.mean()), examples.cpu())


class Norms:
    """What the BatchNorms of a network saw, against what they were trained with."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []
        self._examples: list[Tensor] = []

    def see(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """A forward pre-hook: takes in the statistics of what `norm` is given, (n, channels, ...)."""
        assert isinstance(norm, _Norm)
        if norm.running_mean is None or norm.running_var is None:
            return
        x = inputs[0].float().unsqueeze(-1).flatten(2)
        means, variances = x.mean(2), x.var(2, correction=0)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        self._examples.append(_distance(means, variances, norm.running_mean, norm.running_var, norm.eps))
        self._batches.append(_distance(mean, variance, norm.running_mean, norm.running_var, norm.eps))

    def scores(self) -> Confidence:
        if not self._batches:
            raise CannotBeRanked("its network has no BatchNorm with running statistics")
        return Confidence(-float(torch.stack(self._batches).mean()), -torch.stack(self._examples).mean(0).cpu())


def _distance(mean: Tensor, variance: Tensor, to_mean: Tensor, to_variance: Tensor, eps: float) -> Tensor:
    """Mean over channels, the last dimension."""
    gap = (mean - to_mean).square() + (variance.sqrt() - to_variance.sqrt()).square()
    return (gap / (to_variance + eps)).mean(-1)


@contextmanager
def listening(network: nn.Module) -> Iterator[Norms]:
    """Takes in what the network's BatchNorms see inside the block."""
    norms = Norms()
    hooks = [module.register_forward_pre_hook(norms.see) for module in network.modules() if isinstance(module, _Norm)]
    try:
        yield norms
    finally:
        for hook in hooks:
            hook.remove()
