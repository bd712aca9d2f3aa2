"""One training loop: any model, any optimizer, any batches. It does not know masks, tasks or stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from narrows.errors import DataError, Interrupted
from narrows.training.device import device_of, to_device
from narrows.training.position import Observer, Position

Loss = Callable[[Any, Any], Tensor]

IGNORED = -100
"""The label that `cross_entropy` passes over: padding."""


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
    observer: Observer | None = None,
    resume: Mapping[str, Any] | None = None,
) -> TrainingLog:
    """Trains `model` for `epochs` passes over `batches` of (inputs, targets).

    Training that goes on from a `Position.state()` takes the steps it would have taken, bit for bit, where the state
    of model, optimizer and scheduler was put back as well and the same batches come again in the same order: batches
    whose order follows from an `epoch` attribute, from a `DataLoader`'s generators, or from the global ones of
    PyTorch, Python or NumPy at the start of a pass. Batches already seen are drawn again and passed over. With
    `num_workers` that holds too where workers are seeded as PyTorch does it and are started anew for each pass; with
    `persistent_workers` only for data that is not transformed at random.

    Args:
        total_steps: epochs * batches, told to the callbacks.
        sample: entered around each forward and backward.
        before_epoch: called with the epoch's number, from 0.
        observer: looks on after each step and epoch, and may end training.
        resume: the `Position.state()` to go on from.

    Raises:
        DataError: there is no batch, or a class label outside the model's outputs.
        NonFiniteError: the loss is NaN or infinite; says at which step.
    """
    callbacks = list(callbacks)
    device = device_of(model)
    at = Position(batches, device)
    if resume is not None:
        at.load_state(dict(resume))
    while at.epoch < epochs and not (observer is not None and observer.done):
        if before_epoch is not None and not at.step:
            before_epoch(at.epoch)
        model.train()
        for inputs, targets in at.begin(recorded=observer is not None):
            with sample():
                value = _loss(model, loss, inputs, targets, device)
                value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            lr = optimizer.param_groups[0]["lr"]
            if scheduler is not None:
                scheduler.step()
            at.steps += 1
            at.step += 1
            at.running.add(value.detach())
            try:
                for callback in callbacks:
                    callback(Step(at.steps, total_steps, at.epoch, epochs, at.running.latest, lr))
            except (KeyboardInterrupt, Interrupted):
                if observer is not None:
                    observer.interrupted(at)
                raise
            if observer is not None:
                observer.after_step(at)
        at.end_epoch()
        if observer is not None:
            observer.after_epoch(at)
    return TrainingLog(at.steps, at.seconds, at.losses)


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
