"""A layer's weights changed in memory, measured, and put back: perturbed, removed, moved along the gradient.

Knows a network and one parameter; nothing is written anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from narrows.analysis.labelled import Labelled
from narrows.analysis.layers import still
from narrows.production.network import loss_of
from narrows.training.device import device_of


@contextmanager
def holding(weight: Tensor, value: Tensor) -> Iterator[None]:
    """The parameter has this value inside the block, and its own to the bit afterwards."""
    own = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.copy_(value)
        yield
    finally:
        with torch.no_grad():
            weight.copy_(own)


def noisy(weight: Tensor, level: float, seed: int) -> Tensor:
    """weight * (1 + level * e), e standard normal, drawn by the seed; a weight of 0 stays 0."""
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    return weight.detach() * (1 + level * noise.to(weight))


def moved(
    model: nn.Module,
    weight: nn.Parameter,
    kept: Tensor,
    data: Labelled,
    sizes: Sequence[float],
    steps: int,
    *,
    dropped: bool,
) -> tuple[Tensor, float]:
    """The weight after its kept weights, or all others, went down the gradient of the loss on `data`.

    Each of `sizes` is tried: `steps` steps, each of the length size / steps times the norm of the weight as it is (of
    PyTorch's initial weights where it is 0), along the gradient there. Taken is what has the lowest loss on `data`,
    which may be not to move.

    Args:
        kept: positions, counted in C order; they stand still where those that are `dropped` are let go.

    Returns:
        the weight, and the size taken, 0 where it does not move.
    """
    own = weight.detach().clone()
    unit = float(own.norm()) or math.sqrt(own.shape[0] / 3)
    start, gradient = _loss(model, weight, data)
    best, best_size, lowest = own, 0.0, start
    with still(model):
        for size in sizes:
            value, direction, loss = own, gradient, start
            for step in range(steps):
                along = _within(direction, kept, dropped=dropped)
                length = float(along.norm())
                if not length > 0:
                    break
                value = value - along * (size / steps * unit / length)
                with holding(weight, value):
                    loss, direction = _loss(model, weight, data, slope=step < steps - 1)
            if loss < lowest:
                best, best_size, lowest = value, size, loss
    return best, best_size


def _within(direction: Tensor, kept: Tensor, *, dropped: bool) -> Tensor:
    """The gradient of the kept weights, or of those that are dropped; 0 for the others."""
    kept = kept.to(direction.device)
    along = direction.clone() if dropped else torch.zeros_like(direction)
    along.view(-1)[kept] = 0 if dropped else direction.reshape(-1)[kept]
    return along


def _loss(model: nn.Module, weight: nn.Parameter, data: Labelled, *, slope: bool = True) -> tuple[float, Tensor]:
    """The mean loss, and its gradient in the weight; zeros without `slope`, as nobody goes on from there."""
    loss_function, device = loss_of(data.kind), device_of(model)
    total, gradient = 0.0, torch.zeros_like(weight)
    with still(model):
        weight.requires_grad_(slope)
        for x, y in data.batches():
            loss = loss_function(model(x.to(device)), y.to(device)) * (len(x) / len(data))
            total += float(loss.detach())
            if slope and loss.requires_grad:
                (found,) = torch.autograd.grad(loss, [weight])
                gradient = gradient + found
    return total, gradient.detach()
