"""One training loop: any model, any optimizer, any batches. It does not know masks, tasks or stores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import torch
from torch import nn

from narrows.errors import Interrupted
from narrows.training.batch import Loss, loss_of, pair
from narrows.training.device import device_of
from narrows.training.evaluation import kept_in_eval
from narrows.training.position import Observer, Position


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
    steps_per_epoch: int | None = None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    sample: Callable[[], AbstractContextManager[None]] = nullcontext,
    before_epoch: Callable[[int], None] | None = None,
    callbacks: Iterable[Callback] = (),
    observer: Observer | None = None,
    resume: Mapping[str, Any] | None = None,
) -> TrainingLog:
    """Trains `model` for `epochs` passes over `batches` of (inputs, targets).

    Modules that are in eval mode when it begins stay in it, a frozen BatchNorm say, unless the whole model is: then it
    was only evaluated, and is put into train mode.

    Training that goes on from a `Position.state()` takes the steps it would have taken, bit for bit, where the state
    of model, optimizer and scheduler was put back as well and the same batches come again in the same order: batches
    whose order follows from an `epoch` attribute, from a `DataLoader`'s generators, or from the global ones of
    PyTorch, Python or NumPy at the start of a pass. Batches already seen are drawn again and passed over. With
    `num_workers` that holds too where workers are seeded as PyTorch does it and are started anew for each pass; with
    `persistent_workers` only for data that is not transformed at random.

    Args:
        total_steps: epochs * batches, told to the callbacks; the scheduler takes so many steps and no more.
        steps_per_epoch: batches of an epoch, which then ends after as many; of an iterator, which gives its batches
            once, each epoch draws the next ones. Default: all that a pass over `batches` gives.
        sample: entered around each forward and backward.
        before_epoch: called with the epoch's number, from 0.
        observer: looks on after each step and epoch, and may end training.
        resume: the `Position.state()` to go on from.

    Raises:
        DataError: an epoch has no batch, a batch is no pair, its targets do not fit the outputs (a class label without
            one, say), or a single example is to train BatchNorm.
        ConfigError: `loss` gives something else than a number to train on.
        NonFiniteError: the loss is NaN or infinite; says at which step.

    Warns where an epoch has other than total_steps / epochs batches: what follows a schedule, as the learning rate and
    the choice of a sub-network, then ends too early or too late.
    """
    callbacks = list(callbacks)
    device = device_of(model)
    kept = tuple(kept_in_eval(model).values())
    optimizer.zero_grad()  # of what was left half done before
    at = Position(batches, device)
    if resume is not None:
        at.load_state(dict(resume))
    uneven = False
    while at.epoch < epochs and not (observer is not None and observer.done):
        if before_epoch is not None and not at.step:
            before_epoch(at.epoch)
        model.train()
        for module in kept:
            module.training = False
        left = None if steps_per_epoch is None else steps_per_epoch - at.step
        for batch in islice(at.begin(recorded=observer is not None), left):
            inputs, targets = pair(batch)
            with sample():
                value = loss_of(model, loss, inputs, targets, device)
                value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            lr = optimizer.param_groups[0]["lr"]
            if scheduler is not None and at.steps < total_steps:
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
        if at.steps * epochs != at.epoch * total_steps and not uneven:
            uneven = True
            _warn_of_uneven(at, total_steps, epochs)
        if observer is not None:
            observer.after_epoch(at)
    return TrainingLog(at.steps, at.seconds, at.losses)


def _warn_of_uneven(at: Position, total_steps: int, epochs: int) -> None:
    warnings.warn(
        f"After epoch {at.epoch} of {epochs} training has taken {at.steps} steps, and by total_steps={total_steps} it "
        f"should be {total_steps / epochs:g} in each: the batches differ in number from one epoch to the next, or from "
        "what was said. The learning rate and the choice of the sub-network keep to total_steps. Say "
        "steps_per_epoch=..., and an epoch ends after as many.",
        stacklevel=3,
    )
