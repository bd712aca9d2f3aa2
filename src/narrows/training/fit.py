"""Training a task for those who have no loop of their own: checkpoints, early stopping, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from narrows.errors import ConfigError, DataError
from narrows.training.batch_counts import batch_size_of, examples_of, sized
from narrows.training.checkpoint import Checkpoint
from narrows.training.device import device_of
from narrows.training.early_stopping import EarlyStopping, Measure
from narrows.training.evaluation import kept_in_eval
from narrows.training.fits import Fit
from narrows.training.keeper import Keeper, TrainingState
from narrows.training.loop import Callback, run
from narrows.training.old_keywords import takes_old_keywords
from narrows.training.optimizer_steps import OptimizerSteps
from narrows.training.progress_bar import ProgressBar
from narrows.training.stop_signals import StopSignals
from narrows.training.task_in_progress import TaskInProgress
from narrows.training.tracking import Tracker, Trackers
from narrows.training.value import Training


@takes_old_keywords()
def fit(
    task: TaskInProgress,
    batches: Iterable[tuple[Any, Any]],
    training: Training,
    *,
    valid: Iterable[tuple[Any, Any]] | None = None,
    measure: Measure | None = None,
    checkpoint: Checkpoint | None = None,
    checkpoint_every: float = 60.0,
    trackers: Iterable[Tracker] | Trackers = (),
    callbacks: Iterable[Callback] = (),
    progress: bool | None = None,
) -> Fit:
    """Trains the task by passes over `batches`, as `training` says.

    Called again, it goes on: the sub-network that was chosen is trained further, with a new optimizer and a new
    schedule of its learning rate. A fit that did not end (Ctrl-C, an error) is begun anew instead, from the weights
    that it began from.

    With a `checkpoint` training that was interrupted goes on where it was, and ends with the same weights, bit for
    bit, as if it had not been, on the same machine and versions; `narrows.training.loop.run` says what that asks of
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
            a generator are kept in memory. Where there is no length (an `IterableDataset`) and `training` does not say
            `steps_per_epoch`, they are passed over once to count them, with a warning.
        training: how.
        progress: whether to draw a progress bar; default: where standard error is a terminal.
        callbacks: called with a `narrows.training.Step` after every step.
        trackers: told how training goes; see `narrows.trackers`. The task's commit, or its end without one, is what
            ends theirs.
        checkpoint: where to keep training in progress until the commit; what it holds is gone on with.
        checkpoint_every: seconds.
        valid: (inputs, targets) that are not trained on.
        measure: the score of (model, valid), the higher the better; called with the model in eval mode. Default:
            accuracy where targets are a vector of integers, else the mean of `loss`, negative.

    Raises:
        OptimizerError: the task has an optimizer of your own.
        ConfigError: the checkpoint is of another training (says what differs), or for a fit that goes on from one that
            ended; patience without valid; a loss that gives no number.
        DataError: no batch, targets that do not fit the outputs, or one example to train BatchNorm; see
            `narrows.training.loop.run`, also for what is warned of.
        NonFiniteError: the loss is NaN or infinite, with the step.

    Example: `task.fit(loader, narrows.Training(epochs=10, lr=6e-3))`.
    """
    with task.next_fit(checkpoint, trackers) as told:
        batches, length = sized(batches, training.steps_per_epoch, device_of(task.model))
        if checkpoint is not None and isinstance(batches, Iterator):
            raise ConfigError(
                "A checkpoint goes on with batches that can be drawn again, and an iterator gives them once. Give what "
                "the iterator is of, or leave checkpoint out."
            )
        if not length:
            raise DataError(f"There is nothing to train on: {training.epochs} epochs of 0 batches. Check drop_last.")
        if valid is None and (training.patience is not None or measure is not None):
            raise ConfigError("patience and measure are about validation data: say valid=..., too.")
        stopping = None
        if valid is not None:
            stopping = EarlyStopping(task, valid, loss=training.loss, measure=measure, patience=training.patience)
        training = replace(
            training,
            lr=task.method.learning_rate if training.lr is None else training.lr,
            examples=training.examples or examples_of(batches),
            batch_size=training.batch_size or batch_size_of(batches),
        )
        optimizer = task.optimizer(
            training.optimizer,
            lr=training.lr,
            total_steps=training.steps(length),
            examples=training.examples,
            batch_size=training.batch_size and training.batch_size * training.accumulate,
            **training.options,
        )
        steps = OptimizerSteps(task.model, optimizer, training, length)
        recorder = task.recorder
        before = recorder.schedule.epochs or 0  # of earlier fits
        recorder.schedule = replace(
            recorder.schedule, epochs=before + training.epochs, cosine=training.schedule == "cosine"
        )

        def before_epoch(epoch: int) -> None:
            if task.wants_ratio(before + epoch):
                if isinstance(batches, Iterator):
                    raise ConfigError(
                        f"{task.method.name} measures the layers' outputs on the first batches before it trains on "
                        "them: give batches that can be iterated anew, not an iterator, or say ratio='none'."
                    )
                task.measure_ratio(batches)

        drawn = sys.stderr.isatty() if progress is None else progress
        bar: AbstractContextManager[Callback | None] = ProgressBar(task.name) if drawn else nullcontext()
        with StopSignals(hold=checkpoint is not None) as signals, bar as shown:
            state, resume = None, None
            if checkpoint is not None:
                plan = _plan(task, training) | {
                    "total_steps": steps.total,
                    "valid": valid is not None,
                    "measure": measure,
                }
                state = TrainingState(task, steps, stopping, checkpoint, plan)
                resume = state.load()
            told.begin(task.name, _about(task))
            log = run(
                task.model,
                steps,
                batches,
                sample=task.sample,
                before_epoch=before_epoch,
                callbacks=[*callbacks, *([shown] if shown is not None else [])],
                keeper=Keeper(state, stopping, checkpoint_every, signals, recorder, told),
                resume=resume,
            )
        if stopping is not None:
            stopping.put_back()
        scores = () if stopping is None else tuple(stopping.scores)
        best = None if stopping is None else stopping.kept_epoch
        recorder.best_epoch = None if best is None else before + best
        early = len(log.losses) < training.epochs
        result = Fit(log.steps, log.seconds, tuple(log.losses), scores, best, early, log.skipped)
    task.fits.ended(result)
    return result


def _plan(task: TaskInProgress, training: Training) -> dict[str, Any]:
    """All that a training which goes on from a checkpoint must have in common with the one that was kept."""
    plan = training.plain()
    del plan["steps_per_epoch"]  # another way to say how many steps there are
    if kept := list(kept_in_eval(task.model)):
        plan["in eval mode"] = kept
    return plan | {"task": task.name, "method": _method(task), "earlier tasks": task.foundation()}


def _about(task: TaskInProgress) -> dict[str, Any]:
    """What trackers are told."""
    return {"method": _method(task), "schedule": task.recorder.schedule, "resumed": task.recorder.steps}


def _method(task: TaskInProgress) -> dict[str, Any]:
    return {"name": task.method.name, "config": task.method.config()}
