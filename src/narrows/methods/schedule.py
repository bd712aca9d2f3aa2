"""When weights leave and which: a cubic curve from all of them to a budget or a price.

The same for every method that prunes gradually: they only hand in scores. A weight once dropped stays out for the task,
and a frozen weight whose own value was given up is not refined again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.masks import Layout, above, best, fill_, pick, places, top
from narrows.masks.host import Magnitudes

LISTED = 0.125
"""Up to this part of the weights a task's own are also listed by position: choosing among them costs no more then."""


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
    """A sub-network.

    Attributes:
        own: weights with a value of the task's own, of all shared ones: bool, shape (total,).
        reused: frozen weights taken as they are, of all frozen ones: bool, as long as those of all parameters.
        own_at: the positions of `own` in each parameter; None while they are many.
    """

    own: Tensor
    reused: Tensor
    own_at: list[Tensor] | None = None


@dataclass(frozen=True)
class Worth:
    """What weights are worth: their scores, and their sizes, which decide between equal scores."""

    scores: Tensor
    sizes: Magnitudes


class Chooser:
    """Shrinks a sub-network toward its target.

    Args:
        layout: of the shared parameters.
        frozen_at: of each, the positions of the weights earlier tasks use.
        target: a budget or a price, kept apart for the task's own values and for reused weights.
        refine: whether frozen weights may get a value of the task's own. All do at first; one that is not worth it
            goes back to its frozen value, and may then still be reused.
    """

    def __init__(
        self, layout: Layout, frozen_at: Sequence[Tensor], target: Budget | Price, *, refine: bool = False
    ) -> None:
        self.layout, self._frozen_at = layout, frozen_at
        self._target = target
        self.refine = refine
        frozen = sum(at.numel() for at in frozen_at)
        self._start = Budget(new=layout.total if refine else layout.total - frozen, reuse=frozen)

    def everything(self) -> Choice:
        """The choice of all weights, which is the first one."""
        device = self._frozen_at[0].device if self._frozen_at else None
        own = torch.ones(self.layout.total, dtype=torch.bool, device=device)
        if not self.refine:
            for part, at in zip(self.layout.split(own), self._frozen_at, strict=True):
                fill_(part, at, value=False)
        return Choice(own, torch.full((self._start.reuse,), not self.refine, device=device))

    def choose(self, own: Worth, reuse: Worth, choice: Choice, progress: float) -> Choice:
        """What stays of `choice` at this progress.

        Args:
            own: what each weight's own value is worth: of all weights, or of those that `choice` lists.
            reuse: what each frozen value is worth, of all frozen weights.
        """
        kept, at = self._own(own, choice, progress)
        left = choice.reused | (self.at_frozen(choice.own) & ~self.at_frozen(kept))
        return Choice(kept, self._group(reuse, left, progress, "reuse"), at)

    def at_frozen(self, own: Tensor) -> Tensor:
        """What a flat mask says of the frozen weights."""
        rows = zip(self.layout.split(own), self._frozen_at, strict=True)
        return torch.cat([own[:0], *(pick(part, at) for part, at in rows)])

    def split(self, of_frozen: Tensor) -> list[Tensor]:
        """What there is of each frozen weight, by parameter."""
        return list(torch.split(of_frozen, [at.numel() for at in self._frozen_at]))

    def threshold(self, scores: Tensor, own: Tensor) -> Tensor:
        """For each weight of a sub-network, the score at which its group's last one was kept: what one had to beat.

        Args:
            scores: of the weights in the sub-network.
            own: bool, which of them have a value of the task's own.
        """
        if isinstance(self._target, Price):
            new, reuse = self._target.new, self._target.reuse
        else:
            new, reuse = _lowest(scores, own), _lowest(scores, ~own)
        return torch.where(own, new, reuse)

    def _own(self, worth: Worth, choice: Choice, progress: float) -> tuple[Tensor, list[Tensor] | None]:
        if choice.own_at is None:
            own = self._group(worth, choice.own, progress, "new")
            few = int(own.count_nonzero()) <= LISTED * self.layout.total
            return own, [places(part) for part in self.layout.split(own)] if few else None
        stay = torch.split(self._group(worth, None, progress, "new"), [at.numel() for at in choice.own_at])
        listed = [at[kept] for at, kept in zip(choice.own_at, stay, strict=True)]
        own = torch.zeros_like(choice.own)
        for part, at in zip(self.layout.split(own), listed, strict=True):
            fill_(part, at, value=True)
        return own, listed

    def _group(self, worth: Worth, candidates: Tensor | None, progress: float, group: str) -> Tensor:
        goal = getattr(self._target, group)
        if isinstance(self._target, Price):
            group_of = torch.ones_like(worth.scores, dtype=torch.bool) if candidates is None else candidates
            return above(worth.scores, group_of, goal * progress) if progress > 0 else group_of
        start = getattr(self._start, group)
        count = goal + int((start - goal) * (1 - progress))
        if candidates is None:
            return top(worth.scores, count, worth.sizes)
        return best(worth.scores, candidates, count, worth.sizes)


def _lowest(scores: Tensor, kept: Tensor) -> float:
    # A score of 0 is kept only where the budget leaves room for what carries nothing: no price follows from it.
    paid = kept & (scores > 0)
    return float(scores[paid].min()) if bool(paid.any()) else float("inf")
