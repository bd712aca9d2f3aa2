"""The losses of an epoch, gathered and looked at every few steps: each look waits for a GPU to finish."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from narrows.errors import NonFiniteError

CHECK_EVERY = 10
"""Steps between two looks."""


class Losses:
    """Of one epoch.

    Args:
        first_step: optimizer steps that were taken before it.
        latest: the mean of those looked at last.
    """

    def __init__(self, first_step: int = 0, latest: float | None = None) -> None:
        self.count = 0
        self.latest = latest
        self._first_step = first_step
        self._sum = 0.0
        self._pending: list[Tensor] = []
        # For `recent`: what was looked at and not told, and how many of those pending were told.
        self._untold, self._untold_count, self._told = 0.0, 0, 0

    def add(self, loss: Tensor) -> None:
        """Takes in the loss of a step. NonFiniteError where one of the last few was NaN or infinite."""
        self._pending.append(loss)
        self.count += 1
        if len(self._pending) >= CHECK_EVERY:
            self._look()

    def mean(self) -> float:
        """Of all steps of the epoch. NonFiniteError."""
        self._look()
        return self._sum / self.count

    def recent(self) -> float:
        """Mean of the losses since this was last called, in this epoch or before. NonFiniteError."""
        values = self._finite()[self._told :]
        total, count = self._untold + float(values.sum()), self._untold_count + len(values)
        self._untold, self._untold_count, self._told = 0.0, 0, len(self._pending)
        return total / max(count, 1)

    def next_epoch(self) -> Losses:
        """Those of the epoch that follows; asked for after `mean`."""
        following = Losses(self._first_step + self.count, self.latest)
        following._untold, following._untold_count = self._untold, self._untold_count
        return following

    def state(self) -> dict[str, Any]:
        """As a tree. NonFiniteError: what follows from such a loss is not worth keeping."""
        self._finite()
        return {
            "count": self.count,
            "latest": self.latest,
            "first_step": self._first_step,
            "sum": self._sum,
            "pending": list(self._pending),
            "untold": self._untold,
            "untold_count": self._untold_count,
            "told": self._told,
        }

    @classmethod
    def of(cls, state: dict[str, Any], device: torch.device) -> Losses:
        """From a `state()`."""
        losses = cls(state["first_step"], state["latest"])
        losses.count, losses._sum = state["count"], state["sum"]
        losses._pending = [loss.to(device) for loss in state["pending"]]
        losses._untold, losses._untold_count = state["untold"], state["untold_count"]
        losses._told = state["told"]
        return losses

    def _look(self) -> None:
        if self._pending:
            values = self._finite()
            self._sum += float(values.sum())
            self.latest = float(values.mean())
            self._untold += float(values[self._told :].sum())
            self._untold_count += len(values) - self._told
            self._told = 0
            self._pending.clear()

    def _finite(self) -> Tensor:
        """The losses not looked at yet."""
        values = torch.stack(self._pending).float().cpu() if self._pending else torch.zeros(0)
        finite = torch.isfinite(values)
        if not bool(finite.all()):
            first = int(finite.int().argmin())
            step = self._first_step + self.count - len(self._pending) + first + 1
            raise NonFiniteError(
                f"The loss became {float(values[first])} at step {step}. Nothing was committed and "
                "the tasks in the store are untouched. Lower the learning rate, clip gradients, or check the "
                "data for infinite values."
            )
        return values
