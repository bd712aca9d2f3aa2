"""One training loop: any model, any optimizer, any batches. It does not know masks, tasks or stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from narrows.errors import DataError, NonFiniteError
from narrows.training.device import device_of, to_device

Loss = Callable[[Any, Any], Tensor]

IGNORED = -100
"""The label that `cross_entropy` passes over: padding."""

CHECK_EVERY = 10
"""Steps between two looks at the losses: each look waits for a GPU to finish."""


@dataclass(frozen=True)
class Step:
    """What a callback is told after an optimizer step; `loss` is the mean of the last steps looked at."""

    step: int
    total_steps: int
    epoch: int
    epochs: int
    loss: float | None
    lr: float


class Callback(Protocol):
    """Called after every step."""

    def __call__(self, step: Step, /) -> None: ...


@dataclass
class TrainingLog:
    """What training cost and how it went.

    Attributes:
        steps: optimizer steps taken.
        seconds: of the whole loop, data loading included.
        losses: mean loss of each epoch.
    """

    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Any, Any]],
    epochs: int,
    *,
    loss: Loss = nn.functional.cross_entropy,
    total_steps: int,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    sample: Callable[[], AbstractContextManager[None]] = nullcontext,
    before_epoch: Callable[[int], None] | None = None,
    callbacks: Iterable[Callback] = (),
) -> TrainingLog:
    """Trains `model` for `epochs` passes over `batches` of (inputs, targets).

    Args:
        total_steps: epochs * batches, told to the callbacks.
        sample: entered around each forward and backward.
        before_epoch: called with the epoch's number, from 0.

    Raises:
        DataError: there is no batch, or a class label outside the model's outputs.
        NonFiniteError: the loss is NaN or infinite; says at which step.
    """
    callbacks = list(callbacks)
    device = device_of(model)
    log = TrainingLog()
    latest: float | None = None
    started = time.perf_counter()
    for epoch in range(epochs):
        if before_epoch is not None:
            before_epoch(epoch)
        model.train()
        losses = _Losses(log.steps, latest)
        for inputs, targets in batches:
            with sample():
                value = _loss(model, loss, inputs, targets, device)
                value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            lr = optimizer.param_groups[0]["lr"]
            if scheduler is not None:
                scheduler.step()
            log.steps += 1
            losses.add(value.detach())
            for callback in callbacks:
                callback(Step(log.steps, total_steps, epoch, epochs, losses.latest, lr))
        if not losses.count:
            raise DataError("The training data has no batch. Check the data set, and drop_last if it is small.")
        log.losses.append(losses.mean())
        latest = losses.latest
    log.seconds = time.perf_counter() - started
    return log


def _loss(model: nn.Module, loss: Loss, inputs: Any, targets: Any, device: torch.device) -> Tensor:
    outputs = model(to_device(inputs, device))
    if loss is nn.functional.cross_entropy and isinstance(targets, Tensor):
        check_labels(targets, outputs.shape[1])
    return loss(outputs, to_device(targets, device))


def check_labels(labels: Tensor, outputs: int) -> None:
    """Raises DataError where a class label has no output.

    Labels that cross-entropy ignores (-100) are let through; labels on a GPU are not looked at (it would wait).
    """
    if labels.is_floating_point() or labels.is_cuda:
        return
    labels = labels[labels != IGNORED]
    if not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= outputs:
        raise DataError(
            f"Labels run from {low} to {high}, and the head has {outputs} outputs (labels 0 to {outputs - 1}). "
            "Number the classes from 0, or give the task a larger head."
        )


class _Losses:
    """Gathers the losses of an epoch and looks at them every few steps."""

    def __init__(self, first_step: int, latest: float | None) -> None:
        self.count = 0
        self.latest = latest
        self._first_step = first_step
        self._sum = 0.0
        self._pending: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        self._pending.append(loss)
        self.count += 1
        if len(self._pending) >= CHECK_EVERY:
            self._look()

    def mean(self) -> float:
        self._look()
        return self._sum / self.count

    def _look(self) -> None:
        if not self._pending:
            return
        values = torch.stack(self._pending).float().cpu()
        finite = torch.isfinite(values)
        if not bool(finite.all()):
            step = self._first_step + self.count - len(self._pending) + int(finite.int().argmin()) + 1
            raise NonFiniteError(
                f"The loss became {float(values[finite.int().argmin()])} at step {step}. Nothing was committed and "
                "the tasks in the store are untouched. Lower the learning rate, clip gradients, or check the "
                "data for infinite values."
            )
        self._sum += float(values.sum())
        self.latest = float(values.mean())
        self._pending.clear()
