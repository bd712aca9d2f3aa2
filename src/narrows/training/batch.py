"""One batch through the model to its loss, and what can be wrong with it, said in words.

Knows the losses of `torch.nn.functional` and their modules; any other function is taken at its word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import ConfigError, DataError
from narrows.training.device import to_device

Loss = Callable[[Any, Any], Tensor]

IGNORED = -100
"""The label that `cross_entropy` passes over: padding."""

_ELEMENTWISE: tuple[Any, ...] = (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss)
_ELEMENTWISE_MODULES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)


def pair(batch: Any) -> tuple[Any, Any]:
    """(inputs, targets) of a batch. DataError where it is anything else."""
    if not isinstance(batch, Mapping | Tensor | str):
        try:
            inputs, targets = batch
        except (TypeError, ValueError):
            pass
        else:
            return inputs, targets
    raise DataError(
        f"A batch should be a pair, (inputs, targets), and this one is {_described(batch)}. Make it one: "
        "`((batch[...], batch[...]) for batch in loader)` in an iterable of your own, or by the loader's collate_fn. "
        "Where a network takes several inputs, they are one dict, list or tuple, which it is called with."
    )


def loss_of(model: nn.Module, loss: Loss, inputs: Any, targets: Any, device: torch.device) -> Tensor:
    """The loss of a batch, to be trained on.

    Raises:
        DataError: the targets do not fit the outputs, or one example is to train BatchNorm.
        ConfigError: `loss` gives something that cannot be trained on.
    """
    try:
        outputs = model(to_device(inputs, device))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise DataError(_alone(model)) from error
    check_targets(loss, outputs, targets)
    value = loss(outputs, to_device(targets, device))
    if isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad:
        return value
    raise ConfigError(_no_loss(value))


def check_targets(loss: Loss, outputs: Any, targets: Any) -> None:
    """Raises DataError where a loss that is known cannot be taken of `outputs` and `targets`, or would be of others.

    Squared errors of shapes (n, 1) and (n,) are those of all n * n pairs.
    """
    classes = loss is F.cross_entropy or isinstance(loss, nn.CrossEntropyLoss)
    elementwise = loss in _ELEMENTWISE or isinstance(loss, _ELEMENTWISE_MODULES)
    if not classes and not elementwise:
        return
    name = getattr(loss, "__name__", type(loss).__name__)
    for what, found in (("network gives", outputs), ("targets are", targets)):
        if not isinstance(found, Tensor):
            raise DataError(
                f"The {what} {_described(found)}, and {name} takes a tensor. Say a loss that takes it: "
                "loss=lambda outputs, targets: ..."
            )
    if classes:
        _check_classes(outputs, targets, getattr(loss, "ignore_index", IGNORED))
    elif outputs.shape != targets.shape:
        raise DataError(
            f"The network gives {_described(outputs)}, the targets are {_described(targets)}, and {name} compares them "
            "number by number. Make them alike: targets.unsqueeze(1), say, or outputs of another shape."
        )


def check_labels(labels: Tensor, outputs: int, ignored: int = IGNORED) -> None:
    """Raises DataError where a class label has no output.

    Labels that cross-entropy ignores (-100) are let through; labels on a GPU are not looked at (it would wait).
    """
    if labels.is_floating_point() or labels.is_cuda:
        return
    labels = labels[labels != ignored]
    if not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= outputs:
        raise DataError(
            f"Labels run from {low} to {high}, and the head has {outputs} outputs (labels 0 to {outputs - 1}). "
            "Number the classes from 0, or give the task a larger head."
        )


def _check_classes(outputs: Tensor, targets: Tensor, ignored: int) -> None:
    if outputs.dim() < 2:
        raise DataError(
            f"The network gives {_described(outputs)}, and cross_entropy takes (examples, classes). Give it a head "
            "with an output for each class; for a regression say loss=torch.nn.functional.mse_loss."
        )
    wanted = outputs.shape[:1] + outputs.shape[2:]
    if targets.is_floating_point():
        if targets.shape != outputs.shape:  # probabilities are of the outputs' shape
            raise DataError(
                f"The labels are {_described(targets)}, and cross_entropy takes whole numbers, int64 "
                f"{tuple(wanted)}: labels.long(), of shape {tuple(wanted)}. For a regression say "
                "loss=torch.nn.functional.mse_loss."
            )
        return
    if targets.shape != wanted:
        squeezed = targets.dim() == len(wanted) + 1 and targets.shape[1] == 1
        raise DataError(
            f"The labels are {_described(targets)}, and for outputs {tuple(outputs.shape)} cross_entropy takes "
            f"{tuple(wanted)}{': labels.squeeze(1)' if squeezed else '. Check the data set and the network'}."
        )
    if targets.dtype not in (torch.int64, torch.uint8):
        raise DataError(f"The labels are {_described(targets)}, and cross_entropy takes int64: labels.long().")
    check_labels(targets, outputs.shape[1], ignored)


def _alone(model: nn.Module) -> str:
    kind = nn.modules.batchnorm._BatchNorm
    norms = (name for name, module in model.named_modules() if isinstance(module, kind) and module.training)
    return (
        f"A batch of one example cannot train BatchNorm (first {next(norms, '')!r}): it normalises by the spread "
        "within a batch, and one value has none. Take at least two examples a batch (--batch-size, batch_size=); where "
        "one is left over at the end of the data, drop_last=True or another batch size. Or put these layers into eval "
        "mode before fit: they then stay as they are."
    )


def _no_loss(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"loss gives {_described(value)}, and should return a tensor of one number to train on."
    if value.numel() != 1:
        return f"loss gives {_described(value)}, and should return one number: a mean over the batch."
    return (
        "loss gives a number that does not depend on the network's parameters: it was detached, made a new tensor "
        "or taken without gradients."
    )


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(repr, list(value)[:6]))}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
