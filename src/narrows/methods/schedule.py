"""When weights leave and which: a cubic curve from all of them to a budget or a price.

The same for every method that prunes gradually: they only hand in scores. A weight once dropped stays out for the task,
and a frozen weight whose own value was given up is not refined again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.masks import above, best


@dataclass(frozen=True)
class Budget:
    """Numbers of weights to keep: with values of the task's own, and frozen ones to reuse."""

    new: int
    reuse: int


@dataclass(frozen=True)
class Price:
    """Scores above which a weight is worth a value of its own, and above which a frozen one is worth reusing."""

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
    def over(cls, total_steps: int, start: float, stop: float, after: int = 0) -> Curve:
        """From fractions of the steps that come `after` some to steps; always leaves at least one to prune at."""
        left = total_steps - after
        last = max(1, round(stop * left))
        return cls(after + min(round(start * left), last - 1), after + last)

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


@dataclass(frozen=True)
class Choice:
    """A sub-network, as flat masks of all shared weights; bool, shape (total,), disjoint.

    own: weights with a value of the task's own. reused: frozen weights taken as they are.
    """

    own: Tensor
    reused: Tensor

    @property
    def alive(self) -> Tensor:
        """All weights of the sub-network."""
        return self.own | self.reused


@dataclass(frozen=True)
class Worth:
    """What weights are worth, shape (total,): their scores, and their sizes, which decide between equal scores."""

    scores: Tensor
    sizes: Tensor


class Chooser:
    """Shrinks a sub-network toward its target.

    Args:
        frozen: bool (total,), the weights earlier tasks use.
        target: a budget or a price, kept apart for the task's own values and for reused weights.
        refine: whether frozen weights may get a value of the task's own. All do at first; one that is not worth it
            goes back to its frozen value, and may then still be reused.
    """

    def __init__(self, frozen: Tensor, target: Budget | Price, *, refine: bool = False) -> None:
        self._frozen = frozen
        self._target = target
        self.all = (
            Choice(torch.ones_like(frozen), torch.zeros_like(frozen)) if refine else Choice(~frozen, frozen.clone())
        )
        self._start = Budget(new=int(self.all.own.sum()), reuse=int(frozen.sum()))

    def choose(self, own: Worth, reuse: Worth, choice: Choice, progress: float) -> Choice:
        """What stays of `choice` at this progress.

        Args:
            own: what each weight's own value is worth.
            reuse: what each frozen value is worth.
        """
        kept = self._group(own, choice.own, progress, "new")
        reusable = choice.reused | (choice.own & ~kept & self._frozen)
        return Choice(kept, self._group(reuse, reusable, progress, "reuse"))

    def threshold(self, scores: Tensor, choice: Choice) -> Tensor:
        """For each weight, the score at which its group's last weight was kept: what one had to beat."""
        if isinstance(self._target, Price):
            new, reuse = self._target.new, self._target.reuse
        else:
            new, reuse = (_lowest(scores, kept) for kept in (choice.own, choice.reused))
        claimable = choice.own | (~choice.reused & ~self._frozen)
        return torch.where(claimable, new, reuse)

    def _group(self, worth: Worth, candidates: Tensor, progress: float, group: str) -> Tensor:
        goal = getattr(self._target, group)
        if isinstance(self._target, Price):
            return above(worth.scores, candidates, goal * progress) if progress > 0 else candidates
        start = getattr(self._start, group)
        return best(worth.scores, candidates, goal + int((start - goal) * (1 - progress)), worth.sizes)


def _lowest(scores: Tensor, kept: Tensor) -> float:
    # A score of 0 is kept only where the budget leaves room for what carries nothing: no price follows from it.
    paid = kept & (scores > 0)
    return float(scores[paid].min()) if bool(paid.any()) else float("inf")
