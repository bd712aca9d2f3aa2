"""The fits of a task, one after another: what each begins from.

One that ended is gone on from; one that did not, stopped by Ctrl-C or an error, leaves nothing behind: the next begins
where it began. Knows attachments; it does not know how a fit trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from narrows.errors import ConfigError, OptimizerError
from narrows.methods.base import copy_each
from narrows.training.attachment import Attachment
from narrows.training.module_tensors import live_tensors
from narrows.training.trees import from_tree


@dataclass(frozen=True)
class Fit:
    """How a fit went, the time before an interruption included.

    Attributes:
        steps: optimizer steps that were taken.
        seconds: of training, measuring included.
        losses: mean loss of each epoch (nats for cross-entropy).
        scores: of each epoch on the validation data; empty where there is none.
        best_epoch: the epoch, from 0, whose network the task has now; None without validation data.
        stopped_early: whether training ended before its last epoch.
        skipped: steps that were not taken, as their gradients were not finite in float16 (`Training.amp`).
    """

    steps: int
    seconds: float
    losses: tuple[float, ...]
    scores: tuple[float, ...] = ()
    best_epoch: int | None = None
    stopped_early: bool = False
    skipped: int = 0

    @property
    def seconds_per_step(self) -> float:
        """Mean seconds of one step, taken or not, data loading included."""
        return self.seconds / (self.steps + self.skipped)


class Fits:
    """Of the task `name`, whose network is `model`.

    Attributes:
        done: those that ended.
    """

    def __init__(self, name: str, model: nn.Module) -> None:
        self.done: list[Fit] = []
        self._name, self._model = name, model
        self._running = self._ended = self._ours = False
        self._begun: dict[str, Any] = {}
        """What the last fit began from: the state of a task that had been trained, or the model's tensors alone."""

    @property
    def epochs(self) -> int:
        """Of all that ended."""
        return sum(len(fit.losses) for fit in self.done)

    @property
    def seconds(self) -> float:
        """Of all that ended."""
        return sum(fit.seconds for fit in self.done)

    @contextmanager
    def next(self, *, kept: bool) -> Iterator[None]:
        """While the next fit is trained; `ended` says that it did. ConfigError: it cannot be `kept` in a checkpoint."""
        if self.done and kept:
            raise ConfigError(
                f"Task {self._name!r} goes on from a fit that ended, which a checkpoint of this one would not hold. "
                "Leave checkpoint out, or train all epochs in one fit."
            )
        self._running = True
        try:
            yield
        finally:
            self._running = False

    def ended(self, fit: Fit) -> None:
        """The fit that was trained."""
        self.done.append(fit)
        self._ended, self._begun = True, {}

    def require_way(self, attached: Attachment | None) -> None:
        """Raises OptimizerError where an optimizer is attached that does not make way for another."""
        if attached is not None and not (self._running and self._ours):
            raise OptimizerError(
                f"Task {self._name!r} has an optimizer already; one trains it from start to end. Only fit can be "
                "called again, after a fit."
            )

    def make_way(self, attached: Attachment | None) -> Attachment | None:
        """Lets go of the optimizer of the fit before; the attachment to go on from, None where the task begins anew.

        The task is taken to where the next fit begins.
        """
        if attached is None:
            self._ours = self._running
            self._begun = self._tensors() if self._ours else {}
            return None
        attached.let_go()
        goes_on = bool(self.done)
        if self._ended:
            self._begun, self._ended = from_tree(attached.state()), False
        elif goes_on:
            attached.load_state(self._begun)
        else:
            now = live_tensors(self._model)
            copy_each([now[name] for name in self._begun], list(self._begun.values()))
        return attached if goes_on else None

    def forget(self) -> None:
        """No fit follows: what the last began from is not kept."""
        self._begun = {}

    def _tensors(self) -> dict[str, Any]:
        return {name: tensor.detach().cpu().clone() for name, tensor in live_tensors(self._model).items()}
