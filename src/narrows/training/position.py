"""Where training stands between two steps: enough to go on as if it had never stopped, given model and optimizer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from narrows.errors import DataError
from narrows.training.losses import Losses
from narrows.training.randomness import State, generators, order_of, set_generators, set_order


class Position:
    """Counts steps and epochs, and knows what the steps to come depend on besides model and optimizer.

    Attributes:
        epoch: of the next step, from 0.
        step: of this epoch, those that were passed over included, as in `passed`.
        steps: of all epochs, taken.
        skipped: passed over, as their gradients were not finite.
        losses: mean loss of each epoch that is over.
        running: the losses of this epoch.
    """

    def __init__(self, batches: Iterable[tuple[Any, Any]], device: torch.device, accumulate: int = 1) -> None:
        self.epoch = self.step = self.steps = self.skipped = 0
        self.losses: list[float] = []
        self.running = Losses()
        self._batches, self._device, self._accumulate = batches, device, accumulate
        self._order: State | None = None  # that of the epoch begun
        self._before = 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Of all training so far, interruptions left out."""
        return self._before + time.perf_counter() - self._started

    @property
    def passed(self) -> int:
        """Steps of all epochs, taken or not."""
        return self.steps + self.skipped

    @property
    def seen(self) -> int:
        """Batches of this epoch."""
        return self.step * self._accumulate

    def add(self, loss: Tensor, taken: bool) -> None:
        """Counts a step. NonFiniteError where the loss of one of the last few was NaN or infinite."""
        self.steps += taken
        self.skipped += not taken
        self.step += 1
        self.running.add(loss)

    def begin(self, *, recorded: bool) -> Iterator[tuple[Any, Any]]:
        """The batches of this epoch that are still to come.

        Args:
            recorded: whether `state` may be asked for before the epoch is over.

        Raises:
            DataError: there are fewer batches than steps were taken.
        """
        if not self.step:
            self._order = order_of(self._batches, self._device) if recorded else None
            return iter(self._batches)
        now = generators(self._device)
        assert self._order is not None
        set_order(self._batches, self._order, self._device)
        left = iter(self._batches)
        for seen in range(self.seen):
            if next(left, None) is None:
                raise DataError(
                    f"The training data has {seen} batches, and {self.seen} of this epoch were seen before training "
                    "was interrupted. Go on with the same data, or begin the task anew without the checkpoint."
                )
        set_generators(now, self._device)
        return left

    def end_epoch(self) -> None:
        """DataError where there was no batch; NonFiniteError."""
        if not self.step:
            if self.epoch:
                raise DataError(
                    f"Epoch {self.epoch + 1} has no batch, after {self.steps} steps: the data can be passed over once "
                    "only. Give batches that begin anew for each epoch, as a DataLoader over a data set or a list; of "
                    "an endless stream say steps_per_epoch=..., and give its iterator."
                )
            raise DataError(
                "The training data has no batch. Check the data set, and drop_last if it is small; of a stream that "
                "can be passed over once only say steps_per_epoch=..., so that it is not passed over to be counted."
            )
        self.losses.append(self.running.mean())
        self.running = self.running.next_epoch()
        self.epoch += 1
        self.step = 0

    def state(self) -> State:
        """Everything, the global generators included, as a tree. NonFiniteError where the loss is not finite."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "steps": self.steps,
            "skipped": self.skipped,
            "losses": list(self.losses),
            "running": self.running.state(),
            "order": self._order if self.step else order_of(self._batches, self._device),
            "generators": generators(self._device),
            "seconds": self.seconds,
        }

    def load_state(self, state: State) -> None:
        """Goes on from there: sets the generators and the order of the batches too."""
        self.epoch, self.step = state["epoch"], state["step"]
        self.steps, self.skipped = state["steps"], state["skipped"]
        self.losses = list(state["losses"])
        self.running = Losses.of(state["running"], self._device)
        self._order = state["order"]
        self._before, self._started = state["seconds"], time.perf_counter()
        set_order(self._batches, state["order"], self._device)
        set_generators(state["generators"], self._device)
