"""Measuring a model on data: in eval mode, without gradients, the model's mode put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import DataError
from narrows.training.device import device_of, to_device


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def accuracy(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> float:
    """Share of examples whose largest output is their label, a fraction in [0, 1].

    Raises:
        DataError: there is no example.
    """
    device = device_of(model)
    right = torch.zeros((), dtype=torch.long, device=device)
    count = 0
    with evaluating(model):
        for inputs, labels in batches:
            right += (model(to_device(inputs, device)).argmax(1) == labels.to(device)).sum()
            count += len(labels)
    if not count:
        raise DataError("The test data has no example: nothing to measure accuracy on.")
    return int(right) / count


def mean_loss(model: nn.Module, batches: Iterable[tuple[Any, Any]], loss: Callable[[Any, Any], Tensor]) -> float:
    """Mean of `loss` over the batches, each weighing as many examples as its targets have rows.

    Raises:
        DataError: there is no example.
    """
    device = device_of(model)
    total, count = 0.0, 0
    with evaluating(model):
        for inputs, targets in batches:
            rows = len(targets) if isinstance(targets, Tensor) and targets.dim() else 1
            total += rows * float(loss(model(to_device(inputs, device)), to_device(targets, device)))
            count += rows
    if not count:
        raise DataError("The data has no example: nothing to measure the loss on.")
    return total / count
