"""Measuring a model on data: in eval mode, without gradients, the model's mode put back afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from narrows.errors import DataError
from narrows.training.device import device_of, to_device


@torch.no_grad()
def accuracy(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> float:
    """Share of examples whose largest output is their label, a fraction in [0, 1].

    Raises:
        DataError: there is no example.
    """
    device = device_of(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    right = torch.zeros((), dtype=torch.long, device=device)
    count = 0
    try:
        for inputs, labels in batches:
            right += (model(to_device(inputs, device)).argmax(1) == labels.to(device)).sum()
            count += len(labels)
    finally:
        for module, training in modes:
            module.training = training
    if not count:
        raise DataError("The test data has no example: nothing to measure accuracy on.")
    return int(right) / count
