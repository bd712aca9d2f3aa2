"""Training a task for those who have no loop of their own: checkpoints, early stopping, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import nn

from narrows.errors import ConfigError, DataError
from narrows.methods import Method
from narrows.tasks.batch_counts import batch_size_of, examples_of, sized
from narrows.tasks.checkpoint import Checkpoint, Keeper, Training
from narrows.tasks.signals import StopSignals
from narrows.tasks.stopping import EarlyStopping, Learning, Measure
from narrows.training import Callback, ProgressBar, Recorder, Tracker, Trackers, train
from narrows.training.batch import Loss
from narrows.training.device import device_of
from narrows.training.evaluation import kept_in_eval
from narrows.training.tracking import as_one


class Trainable(Learning, Protocol):
    """What `fit` needs of a task."""

    name: str
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

    @property
    def recorder(self) -> Recorder:
        """See `Task.recorder`."""

    def foundation(self) -> dict[str, Any]:
        """See `Task.foundation`."""


@dataclass(frozen=True)
class Fit:
    """How a fit went, the time before an interruption included.

    Attributes:
        steps: optimizer steps.
        seconds: of training, measuring included.
        losses: mean loss of each epoch (nats for cross-entropy).
        scores: of each epoch on the validation data; empty where there is none.
        best_epoch: the epoch, from 0, whose network the task has now; None without validation data.
        stopped_early: whether training ended before its last epoch.
    """

    steps: int
    seconds: float
    losses: tuple[float, ...]
    scores: tuple[float, ...] = ()
    best_epoch: int | None = None
    stopped_early: bool = False

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
    steps_per_epoch: int | None = None,
    progress: bool | None = None,
    callbacks: Iterable[Callback] = (),
    trackers: Iterable[Tracker] | Trackers = (),
    checkpoint: Checkpoint | None = None,
    checkpoint_every: float = 60.0,
    valid: Iterable[tuple[Any, Any]] | None = None,
    measure: Measure | None = None,
    patience: int | None = None,
    **options: Any,
) -> Fit:
    """Trains `task` for `epochs` passes over `batches`.

    With a `checkpoint` training that was interrupted goes on where it was, and ends with the same weights, bit for
    bit, as if it had not been, on the same machine and versions; `narrows.training.train` says what that asks of
    `batches`. It is saved at the end of each epoch, every `checkpoint_every` seconds between two steps, where
    a callback raises KeyboardInterrupt or `Interrupted`, and on SIGINT (Ctrl-C) and SIGTERM: in the main thread these
    are held back until the step is over, and are then raised as KeyboardInterrupt and SystemExit(143); a second one
    acts at once, and the last checkpoint stands. `task.commit` drops it.

    Modules in eval mode stay in it, a BatchNorm that is to keep its statistics, say; unless the whole model is in it,
    as after an evaluation, and is put into train mode.

    With `valid` the network kept is that of the epoch with the best score. Compared are epochs after which the
    sub-network is settled (`narrows.methods.Learner.settled`): where it shrinks over training, those after that. Of
    equals the latest is kept.

    Args:
        batches: (inputs, targets), iterable anew for each epoch and with a length: a `DataLoader`, say. The batches of
            a generator are kept in memory. Where there is no length (an `IterableDataset`) and `steps_per_epoch` is not
            said, they are passed over once to count them, with a warning.
        epochs: passes, at least 1.
        lr: learning rate; default: the method's own (`task.method.learning_rate`).
        optimizer: class of the optimizer.
        loss: of (outputs, targets), a mean over the batch; cross-entropy by default, any for regression.
        cosine: whether the learning rate falls to 0 on a cosine over the task.
        examples, batch_size: of the data; read from a `DataLoader` by default.
        steps_per_epoch: batches of an epoch, for streams: an epoch ends after as many, and nothing is counted. An
            iterator is drawn on from epoch to epoch.
        progress: whether to draw a progress bar; default: where standard error is a terminal.
        callbacks: called with a `narrows.training.Step` after every step.
        trackers: told how training goes; see `narrows.trackers`. The task's commit, or its end without one, is what
            ends theirs.
        checkpoint: where to keep training in progress; what it holds is gone on with.
        checkpoint_every: seconds.
        valid: (inputs, targets) that are not trained on.
        measure: the score of (model, valid), the higher the better; called with the model in eval mode. Default:
            accuracy where targets are a vector of integers, else the mean of `loss`, negative.
        patience: stop when so many epochs have passed without a better score than the best settled one.
        **options: given to the optimizer's class.

    Raises:
        ConfigError: the checkpoint is of another training (says what differs); patience without valid; a loss that
            gives no number.
        DataError: no batch, targets that do not fit the outputs, or one example to train BatchNorm; see
            `narrows.training.train`, also for what is warned of.
        NonFiniteError: the loss is NaN or infinite, with the step.
    """
    batches, length = sized(batches, steps_per_epoch, device_of(task.model))
    if checkpoint is not None and isinstance(batches, Iterator):
        raise ConfigError(
            "A checkpoint goes on with batches that can be drawn again, and an iterator gives them once. Give what the "
            "iterator is of, or leave checkpoint out."
        )
    if epochs < 1 or not length:
        raise DataError(
            f"There is nothing to train on: {epochs} epochs of {length} batches. Check the data set and drop_last."
        )
    if valid is None and (patience is not None or measure is not None):
        raise ConfigError("patience and measure are about validation data: say valid=..., too.")
    stopping = None
    if valid is not None:
        stopping = EarlyStopping(task, valid, loss=loss, measure=measure, patience=patience)
    total = epochs * length
    lr = task.method.learning_rate if lr is None else lr
    data = {"examples": examples or examples_of(batches), "batch_size": batch_size or batch_size_of(batches)}
    wrapped = task.optimizer(
        optimizer,
        lr=lr,
        total_steps=total,
        examples=data["examples"],
        batch_size=data["batch_size"],
        **options,
    )
    recorder, told = task.recorder, as_one(trackers)
    before = recorder.schedule.epochs or 0  # of earlier fits
    recorder.schedule = replace(recorder.schedule, epochs=before + epochs, cosine=cosine)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(wrapped, T_max=total) if cosine else None

    def before_epoch(epoch: int) -> None:
        if task.wants_ratio(before + epoch):
            if isinstance(batches, Iterator):
                raise ConfigError(
                    f"{task.method.name} measures the layers' outputs on the first batches before it trains on them: "
                    "give batches that can be iterated anew, not an iterator, or say ratio='none'."
                )
            task.measure_ratio(batches)

    drawn = sys.stderr.isatty() if progress is None else progress
    bar: AbstractContextManager[Callback | None] = ProgressBar(task.name) if drawn else nullcontext()
    with StopSignals(hold=checkpoint is not None) as signals, bar as shown:
        training, resume = None, None
        if checkpoint is not None:
            said = {"epochs": epochs, "total_steps": total, **data, "lr": lr, "cosine": cosine, "options": options}
            by = {"optimizer": optimizer, "loss": loss, "valid": valid is not None}
            by |= {"measure": measure, "patience": patience}
            by |= {"in eval mode": kept} if (kept := list(kept_in_eval(task.model))) else {}
            training = Training(task, wrapped, scheduler, stopping, checkpoint, _plan(task) | said | by)
            resume = training.load()
        told.begin(task.name, _about(task))
        log = train(
            task.model,
            wrapped,
            batches,
            epochs,
            loss=loss,
            total_steps=total,
            steps_per_epoch=steps_per_epoch,
            scheduler=scheduler,
            sample=task.sample,
            before_epoch=before_epoch,
            callbacks=[*callbacks, *([shown] if shown is not None else [])],
            observer=Keeper(training, stopping, checkpoint_every, signals, recorder, told),
            resume=resume,
        )
    if stopping is not None:
        stopping.put_back()
    scores = () if stopping is None else tuple(stopping.scores)
    best = None if stopping is None else stopping.kept_epoch
    recorder.best_epoch = None if best is None else before + best
    return Fit(log.steps, log.seconds, tuple(log.losses), scores, best, len(log.losses) < epochs)


def _plan(task: Trainable) -> dict[str, Any]:
    """Of what is trained."""
    return {"task": task.name, "method": _method(task), "earlier tasks": task.foundation()}


def _about(task: Trainable) -> dict[str, Any]:
    """What trackers are told."""
    return {"method": _method(task), "schedule": task.recorder.schedule, "resumed": task.recorder.steps}


def _method(task: Trainable) -> dict[str, Any]:
    return {"name": task.method.name, "config": task.method.config()}
