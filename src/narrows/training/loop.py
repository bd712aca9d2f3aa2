"""One training loop: any model, any optimizer, any batches. It does not know masks, tasks or stores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from torch import nn

from narrows.errors import Interrupted
from narrows.training.batch_counts import sized
from narrows.training.device import device_of
from narrows.training.evaluation import kept_in_eval
from narrows.training.keeper import Keeper
from narrows.training.optimizer_steps import OptimizerSteps, Sample
from narrows.training.position import Position
from narrows.training.value import Training


@dataclass(frozen=True)
class Step:
    """What a callback is told after an optimizer step, one that a GradScaler passed over included; `loss` is the mean
    of the last steps looked at."""

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
        skipped: steps that a GradScaler passed over, as their gradients were not finite.
    """

    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    skipped: int = 0


def train(
    model: nn.Module, batches: Iterable[Any], training: Training, *, callbacks: Iterable[Callback] = ()
) -> TrainingLog:
    """Trains all of a network's parameters; raises and warns as `run`.

    >>> import torch
    >>> model = nn.Linear(3, 2)
    >>> train(model, [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))] * 3, Training(epochs=2, lr=0.1)).steps
    6
    """
    batches, length = sized(batches, training.steps_per_epoch, device_of(model))
    rate: dict[str, Any] = {} if training.lr is None else {"lr": training.lr}
    optimizer = training.optimizer(model.parameters(), **rate, **training.options)
    return run(model, OptimizerSteps(model, optimizer, training, length), batches, callbacks=callbacks)


def run(
    model: nn.Module,
    steps: OptimizerSteps,
    batches: Iterable[tuple[Any, Any]],
    *,
    sample: Sample = nullcontext,
    before_epoch: Callable[[int], None] | None = None,
    callbacks: Iterable[Callback] = (),
    keeper: Keeper | None = None,
    resume: Mapping[str, Any] | None = None,
) -> TrainingLog:
    """Trains `model` by `steps` with passes over `batches` of (inputs, targets).

    Modules that are in eval mode when it begins stay in it, a frozen BatchNorm say, unless the whole model is: then it
    was only evaluated, and is put into train mode.

    Training that goes on from a `Position.state()` takes the steps it would have taken, bit for bit, where the state
    of model and `steps` was put back as well and the same batches come again in the same order: batches
    whose order follows from an `epoch` attribute, from a `DataLoader`'s generators, or from the global ones of
    PyTorch, Python or NumPy at the start of a pass. Batches already seen are drawn again and passed over. With
    `num_workers` that holds too where workers are seeded as PyTorch does it and are started anew for each pass; with
    `persistent_workers` only for data that is not transformed at random.

    Args:
        sample: entered around each forward and backward.
        before_epoch: called with the epoch's number, from 0.
        keeper: looks on after each step and epoch, and may end training.
        resume: the `Position.state()` to go on from.

    Raises:
        DataError: an epoch has no batch, a batch is no pair, its targets do not fit the outputs (a class label without
            one, say), or a single example is to train BatchNorm.
        ConfigError: the loss gives something else than a number to train on.
        NonFiniteError: the loss is NaN or infinite; says at which step.

    Warns where an epoch has other than steps.total / epochs steps: what follows a schedule, as the learning rate and
    the choice of a sub-network, then ends too early or too late.
    """
    callbacks, training = list(callbacks), steps.training
    kept = tuple(kept_in_eval(model).values())
    steps.begin()
    at = Position(batches, device_of(model), training.accumulate)
    if resume is not None:
        at.load_state(dict(resume))
    uneven = False
    while at.epoch < training.epochs and not (keeper is not None and keeper.done):
        if before_epoch is not None and not at.step:
            before_epoch(at.epoch)
        model.train()
        for module in kept:
            module.training = False
        left = None if training.steps_per_epoch is None else training.steps_per_epoch - at.seen
        for group in _grouped(islice(at.begin(recorded=keeper is not None), left), training.accumulate):
            at.add(*steps.take(group, sample, planned=at.passed < steps.total))
            told = Step(at.passed, steps.total, at.epoch, training.epochs, at.running.latest, steps.lr)
            try:
                for callback in callbacks:
                    callback(told)
            except (KeyboardInterrupt, Interrupted):
                if keeper is not None:
                    keeper.interrupted(at)
                raise
            if keeper is not None:
                keeper.after_step(at)
        at.end_epoch()
        if at.passed * training.epochs != at.epoch * steps.total and not uneven:
            uneven = True
            _warn_of_uneven(at, steps.total, training.epochs)
        if keeper is not None:
            keeper.after_epoch(at)
    return TrainingLog(at.steps, at.seconds, at.losses, at.skipped)


def _grouped(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(islice(batches, size)):
        yield group


def _warn_of_uneven(at: Position, total_steps: int, epochs: int) -> None:
    warnings.warn(
        f"After epoch {at.epoch} of {epochs} training has taken {at.passed} steps, and by total_steps={total_steps} it "
        f"should be {total_steps / epochs:g} in each: the batches differ in number from one epoch to the next, or from "
        "what was said. The learning rate and the choice of the sub-network keep to total_steps. Say "
        "steps_per_epoch=..., and an epoch ends after as many.",
        stacklevel=3,
    )
