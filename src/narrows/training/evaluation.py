"""Measuring a model on data: in eval mode, without gradients, the model's mode put back afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from narrows.errors import DataError
from narrows.training.device import device_of, to_device


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode inside the block; every module's own mode is put back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
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
