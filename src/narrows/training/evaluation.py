"""Measuring a model on data: in eval mode, without gradients, the model's mode put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import DataError
from narrows.training.batch import check_targets, pair
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


def kept_in_eval(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that somebody put into eval mode, to stay in it while the others are trained, by name.

    Those that are in it now; none where all are, as after an evaluation: there nobody chose.

    >>> frozen = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    >>> _ = frozen[1].eval()
    >>> list(kept_in_eval(frozen)), list(kept_in_eval(frozen.eval()))
    (['1'], [])
    """
    modules = dict(model.named_modules())
    kept = {name: module for name, module in modules.items() if not module.training}
    return kept if len(kept) < len(modules) else {}


def accuracy(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> float:
    """Share of examples (of pixels, where each has a label) whose largest output is their label, in [0, 1].

    Raises:
        DataError: there is no example, or outputs and labels do not fit each other.
    """
    device = device_of(model)
    right = torch.zeros((), dtype=torch.long, device=device)
    count = 0
    with evaluating(model):
        for inputs, labels in map(pair, batches):
            outputs = model(to_device(inputs, device))
            if not isinstance(outputs, Tensor) or outputs.dim() < 2:
                raise DataError(
                    "Accuracy is of outputs (examples, classes), and the network gives others: say a measure of your "
                    "own, measure=lambda model, batches: ..."
                )
            found = outputs.argmax(1)
            if found.shape != labels.shape:  # (n,) and (n, 1) would be compared each with each
                raise DataError(
                    f"The labels have the shape {tuple(labels.shape)}, and the network's answers {tuple(found.shape)}: "
                    "give a label for each answer, labels.squeeze(1), say."
                )
            right += (found == labels.to(device)).sum()
            count += labels.numel()
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
        for inputs, targets in map(pair, batches):
            rows = len(targets) if isinstance(targets, Tensor) and targets.dim() else 1
            outputs = model(to_device(inputs, device))
            check_targets(loss, outputs, targets)
            total += rows * float(loss(outputs, to_device(targets, device)))
            count += rows
    if not count:
        raise DataError("The data has no example: nothing to measure the loss on.")
    return total / count
