"""Training a task for those who have no loop of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from narrows.errors import DataError
from narrows.methods import Method
from narrows.training import Callback, ProgressBar, TrainingLog, train
from narrows.training.loop import Loss


class Trainable(Protocol):
    """What `fit` needs of a task."""

    name: str
    model: nn.Module
    method: Method

    def optimizer(
        self,
        kind: type[torch.optim.Optimizer],
        params: Iterable[dict[str, Any]] | None = None,
        *,
        total_steps: int | None,
        examples: int | None,
        batch_size: int | None,
        **options: Any,
    ) -> torch.optim.Optimizer:
        """See `Task.optimizer`."""

    def sample(self) -> AbstractContextManager[None]:
        """See `Task.sample`."""

    def wants_ratio(self, epoch: int) -> bool:
        """See `Task.wants_ratio`."""

    def measure_ratio(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """See `Task.measure_ratio`."""


@dataclass(frozen=True)
class Fit:
    """How a fit went: optimizer steps, seconds, and the mean loss of each epoch (nats for cross-entropy)."""

    steps: int
    seconds: float
    losses: tuple[float, ...]

    @property
    def seconds_per_step(self) -> float:
        """Mean seconds of one step, data loading included."""
        return self.seconds / self.steps


def fit(
    task: Trainable,
    batches: Iterable[tuple[Any, Any]],
    epochs: int,
    *,
    lr: float | None = None,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    loss: Loss = nn.functional.cross_entropy,
    cosine: bool = True,
    examples: int | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    callbacks: Iterable[Callback] = (),
    **options: Any,
) -> Fit:
    """Trains `task` for `epochs` passes over `batches`.

    Args:
        batches: (inputs, targets), iterable anew for each epoch and with a length: a `DataLoader`, say.
        epochs: passes, at least 1.
        lr: learning rate; default: the method's own (`task.method.learning_rate`).
        optimizer: class of the optimizer.
        loss: of (outputs, targets), a mean over the batch; cross-entropy by default, any for regression.
        cosine: whether the learning rate falls to 0 on a cosine over the task.
        examples, batch_size: of the data; read from a `DataLoader` by default.
        progress: whether to draw a progress bar; default: where standard error is a terminal.
        callbacks: called with a `narrows.training.Step` after every step.
        **options: given to the optimizer's class.

    Raises:
        DataError: no batch, or class labels outside the head.
        NonFiniteError: the loss is NaN or infinite, with the step.
    """
    batches, length = _sized(batches)
    if epochs < 1 or not length:
        raise DataError(
            f"There is nothing to train on: {epochs} epochs of {length} batches. Check the data set and drop_last."
        )
    total = epochs * length
    wrapped = task.optimizer(
        optimizer,
        lr=task.method.learning_rate if lr is None else lr,
        total_steps=total,
        examples=examples or _examples(batches),
        batch_size=batch_size or getattr(batches, "batch_size", None),
        **options,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(wrapped, T_max=total) if cosine else None

    def before_epoch(epoch: int) -> None:
        if task.wants_ratio(epoch):
            task.measure_ratio(batches)

    drawn = sys.stderr.isatty() if progress is None else progress
    bar: AbstractContextManager[Callback | None] = ProgressBar(task.name) if drawn else nullcontext()
    with bar as shown:
        log: TrainingLog = train(
            task.model,
            wrapped,
            batches,
            epochs,
            loss=loss,
            total_steps=total,
            scheduler=scheduler,
            sample=task.sample,
            before_epoch=before_epoch,
            callbacks=[*callbacks, *([shown] if shown is not None else [])],
        )
    return Fit(log.steps, log.seconds, tuple(log.losses))


def _sized(batches: Iterable[tuple[Any, Any]]) -> tuple[Iterable[tuple[Any, Any]], int]:
    """The batches and how many there are; counts them where they do not say."""
    if isinstance(batches, Iterator):
        batches = list(batches)  # a generator gives its batches once only
    try:
        return batches, len(batches) if isinstance(batches, Sized) else sum(1 for _ in batches)
    except TypeError:  # a DataLoader over an IterableDataset has __len__ and cannot say
        return batches, sum(1 for _ in batches)


def _examples(batches: Any) -> int | None:
    if hasattr(batches, "examples"):
        return int(batches.examples)
    dataset = getattr(batches, "dataset", None)
    return len(dataset) if isinstance(dataset, Sized) else None
