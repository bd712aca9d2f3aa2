"""When weights leave and which: a cubic curve from all of them to a budget or a price.

The same for every method that prunes gradually: they only hand in scores. A weight once dropped stays out for the task.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.masks import above, best


@dataclass(frozen=True)
class Budget:
    """Numbers of weights to keep: free ones to claim, frozen ones to reuse."""

    new: int
    reuse: int


@dataclass(frozen=True)
class Price:
    """Scores above which a weight is worth keeping, for free and for frozen weights."""

    new: float
    reuse: float


@dataclass(frozen=True)
class Curve:
    """How far pruning has come at a step: 0 before `start`, 1 from `stop` on, cubic between (Zhu and Gupta 2017).

    >>> curve = Curve(start=0, stop=10)
    >>> curve.at(0), curve.at(5), curve.at(10)
    (0.0, 0.875, 1.0)
    """

    start: int
    stop: int

    @classmethod
    def over(cls, total_steps: int, start: float, stop: float) -> Curve:
        """From fractions of training to steps; always leaves at least one step to prune at."""
        last = max(1, round(stop * total_steps))
        return cls(min(round(start * total_steps), last - 1), last)

    def interval(self) -> int:
        """Steps between two choices: 10, or fewer where that would make less than 20 of them.

        Pruning in a few leaps costs accuracy; choosing oftener than this gains none.

        >>> Curve(0, 470).interval(), Curve(0, 60).interval(), Curve(0, 8).interval()
        (10, 3, 1)
        """
        return min(10, max(1, (self.stop - self.start) // 20))

    def at(self, step: int) -> float:
        """Progress in [0, 1]."""
        passed = min(max((step - self.start) / (self.stop - self.start), 0.0), 1.0)
        return float(1 - (1 - passed) ** 3)


class Chooser:
    """Shrinks a flat mask of all shared weights toward its target.

    Args:
        frozen: bool (total,), the weights earlier tasks use.
        target: a budget or a price, kept apart for free and frozen weights.
    """

    def __init__(self, frozen: Tensor, target: Budget | Price) -> None:
        self._frozen = frozen
        self._target = target
        self._start = Budget(new=int((~frozen).sum()), reuse=int(frozen.sum()))

    def choose(self, scores: Tensor, alive: Tensor, progress: float) -> Tensor:
        """The weights of `alive` that stay at this progress; shape (total,), bool."""
        free = self._group(scores, alive & ~self._frozen, progress, "new")
        return free | self._group(scores, alive & self._frozen, progress, "reuse")

    def threshold(self, scores: Tensor, kept: Tensor) -> Tensor:
        """For each weight, the score at which its group's last weight was kept: what one had to beat."""
        if isinstance(self._target, Price):
            new, reuse = self._target.new, self._target.reuse
        else:
            new, reuse = (_lowest(scores, kept & group) for group in (~self._frozen, self._frozen))
        return torch.where(self._frozen, reuse, new)

    def _group(self, scores: Tensor, candidates: Tensor, progress: float, group: str) -> Tensor:
        goal = getattr(self._target, group)
        if isinstance(self._target, Price):
            return above(scores, candidates, goal * progress) if progress > 0 else candidates
        start = getattr(self._start, group)
        return best(scores, candidates, goal + int((start - goal) * (1 - progress)))


def _lowest(scores: Tensor, kept: Tensor) -> float:
    # A score of 0 is kept only where the budget leaves room for what carries nothing: no price follows from it.
    paid = kept & (scores > 0)
    return float(scores[paid].min()) if bool(paid.any()) else float("inf")
