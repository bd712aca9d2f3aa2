"""Early stopping: the best epoch on validation data, kept and put back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import DataError
from narrows.training.batch import Loss
from narrows.training.device import device_of
from narrows.training.evaluation import accuracy, evaluating, mean_loss
from narrows.training.randomness import order_of, set_order
from narrows.training.task_in_progress import TaskInProgress
from narrows.training.trees import Tree, from_tree

Measure = Callable[[nn.Module, Any], float]
"""Of (model, batches); the higher, the better."""


class EarlyStopping:
    """Measures a task after each epoch and keeps the best state among epochs whose sub-network is settled.

    Of epochs that score the same the later one is kept. `patience` counts epochs since the last that was better than
    all settled ones before it; a score of NaN is never better.

    Attributes:
        scores: of each epoch.
        best_epoch: the epoch kept, from 0; None while there is none.

    Raises:
        DataError: `valid` has no batch.
    """

    def __init__(
        self, task: TaskInProgress, valid: Iterable[Any], *, loss: Loss, measure: Measure | None, patience: int | None
    ) -> None:
        self.scores: list[float] = []
        self.best_epoch: int | None = None
        self._task = task
        self._valid = list(valid) if isinstance(valid, Iterator) else valid
        self._measure = _default_measure(self._valid, loss, device_of(task.model)) if measure is None else measure
        self._patience = patience
        self._improved: int | None = None  # the epoch that was better than all before
        self._best: Tree = None

    @property
    def done(self) -> bool:
        """Whether `patience` epochs have passed without a better one."""
        if self._patience is None or self._improved is None:
            return False
        return len(self.scores) - 1 - self._improved >= self._patience

    @property
    def kept_epoch(self) -> int:
        """The epoch that `put_back` leaves the task at, from 0."""
        return len(self.scores) - 1 if self.best_epoch is None else self.best_epoch

    def look(self) -> None:
        """Measures the epoch that is over."""
        score = undisturbed(self._measure, self._task.model, self._valid)
        epoch = len(self.scores)
        self.scores.append(score)
        if not self._task.settled or math.isnan(score):
            return
        best = None if self.best_epoch is None else self.scores[self.best_epoch]
        if best is None or score > best:
            self._improved = epoch
        if best is None or score >= best:
            state = self._task.state()
            state.pop("history", None)  # of the weights that are put back, not of how long they were trained
            self.best_epoch, self._best = epoch, from_tree(state)

    def put_back(self) -> None:
        """Takes the task back to its best epoch, where that is not the last."""
        if self.kept_epoch != len(self.scores) - 1:
            self._task.load_state(self._best)

    def state(self) -> dict[str, Any]:
        """As a tree."""
        return {
            "scores": list(self.scores),
            "best_epoch": self.best_epoch,
            "improved": self._improved,
            "best": self._best,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `state()`."""
        self.scores, self.best_epoch = list(state["scores"]), state["best_epoch"]
        self._improved, self._best = state["improved"], state["best"]


def undisturbed(measure: Measure, model: nn.Module, batches: Iterable[Any]) -> float:
    """`measure` of the model in eval mode, without gradients; generators and the order of all batches stay as they are.

    Each call sees the batches in the same order.
    """
    device = device_of(model)
    order = order_of(batches, device)
    try:
        with evaluating(model):
            return float(measure(model, batches))
    finally:
        set_order(batches, order, device)


def _default_measure(valid: Iterable[Any], loss: Loss, device: torch.device) -> Measure:
    """Accuracy where the targets are a vector of integers; the mean loss, negative, for all others."""
    order = order_of(valid, device)
    first = next(iter(valid), None)
    set_order(valid, order, device)
    if first is None:
        raise DataError("The validation data has no batch: leave `valid` out, or give it some examples.")
    targets = first[1]
    if isinstance(targets, Tensor) and targets.dim() == 1 and _whole(targets.dtype):
        return accuracy
    return lambda model, batches: -mean_loss(model, batches, loss)


def _whole(dtype: torch.dtype) -> bool:
    return dtype != torch.bool and not dtype.is_floating_point and not dtype.is_complex
