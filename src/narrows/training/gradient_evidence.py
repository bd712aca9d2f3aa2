"""Whether training had anything to go by: which of a task's parameters ever had a gradient.

A loop without a backward pass, or behind `no_grad`, takes steps as any other, and moves nothing (or, with weight decay,
all by the same factor). Knows gradients only: no masks, no method.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import Tensor

from narrows.errors import OptimizerError
from narrows.training.optimizers import Optimizer, gradients_of

_LOOK_AT = (
    "Look for a backward pass that is missing or comes after the step, for gradients cleared between the two, for "
    "no_grad, detach or requires_grad_(False) before the loss, and for a loss that is 0"
)


class GradientEvidence:
    """What had a gradient in the steps of a task. One of nothing but zeros is none.

    Args:
        optimizers: what trains it.
        shared: its shared parameters.

    Attributes:
        anything: whether any parameter that is trained had one.
        shares: whether a shared one had.
    """

    def __init__(self, optimizers: Sequence[Optimizer], shared: Sequence[Tensor]) -> None:
        self._optimizers, self._shared = optimizers, shared
        self.anything = self.shares = False

    def look(self) -> None:
        """Takes the gradients of the moment in; after the first step or two there is nothing left to look for."""
        if not self.shares:
            self.shares = any(param.grad is not None and bool(param.grad.any()) for param in self._shared)
            self.anything = self.anything or self.shares
        if not self.anything:
            self.anything = any(bool(grad.any()) for one in self._optimizers for grad in gradients_of(one))

    def go_on(self, before: GradientEvidence) -> None:
        """Counts what had one in an earlier training of the same task."""
        self.anything, self.shares = self.anything or before.anything, self.shares or before.shares

    def state(self) -> dict[str, bool]:
        """What it has seen, as a tree."""
        return {"anything": self.anything, "shares": self.shares}

    def load_state(self, state: dict[str, bool]) -> None:
        """Goes on from a `state()`."""
        self.anything, self.shares = state["anything"], state["shares"]

    def require(self, name: str, steps: int) -> None:
        """OptimizerError where nothing of the task `name` had a gradient; a warning where nothing shared had."""
        if not self.anything:
            raise OptimizerError(
                f"Task {name!r} has taken {steps} optimizer step{'s' if steps > 1 else ''}, and no parameter had a "
                f"gradient in any: nothing was learned, and there is nothing to commit. {_LOOK_AT}."
            )
        if not self.shares:
            warnings.warn(
                f"Task {name!r}: no weight that tasks share had a gradient in {steps} optimizer "
                f"step{'s' if steps > 1 else ''}: what the task learned is in its head and its private parameters "
                f"alone. Where that is meant, all is well. {_LOOK_AT}.",
                stacklevel=3,
            )
