"""Gradual magnitude pruning (Zhu and Gupta, "To prune, or not to prune", 2017, arXiv 1710.01878), per task.

A pruning method made continual, as a strong baseline for IBM: the same budgets, warm start and cubic schedule
(their equation 1), and |w| in the place of information. With `score="ib"` the score is theta^2 F, and the method
is `IBM(estimator="laplace")` under a budget, to the bit, given the same `refine`.

Where we differ from the paper: all layers are ranked together instead of each layer shrinking by one ratio, which
is stronger and gives each layer a density of its own; free and frozen weights are ranked apart, as in IBM; a
dropped weight is 0 and stays out for the task, but is free again in the next, from the base network's value.

Magnitudes of different layers are not alike: where one starts with much larger weights (an embedding, N(0, 1)),
a small budget empties the others, with a warning. Information has one unit in every layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from narrows.methods.base import Extent, Learner, SharedWeights
from narrows.methods.evidence import Evidence
from narrows.methods.gradual import GradualLearner, choosing
from narrows.methods.information import FisherAverage
from narrows.methods.options import BudgetOptions, ScheduleOptions, check_choices


@dataclass(frozen=True)
class Magnitude(ScheduleOptions, BudgetOptions):
    """Gradual pruning by magnitude, over all layers together.

    Args:
        density, new, reuse: the budgets of `IBM`; nothing said means `density=0.04`.
        refine: as in `IBM`; off here, where nothing but the score should differ from plain pruning.
        free_scale, prune_from, prune_until, prune_every: as in `IBM`.
        decay: of the moving average that is the Fisher information (`score="ib"`).
        score: "magnitude" keeps the largest |w|; "ib" the largest theta^2 F, as `IBM` does.

    Raises:
        ConfigError: an option out of range.

    >>> Magnitude(density=0.04).budget(total=1000, frozen=100)
    Budget(new=10, reuse=30)
    """

    name: ClassVar[str] = "magnitude"
    summary: ClassVar[str] = "gradual magnitude pruning over all layers together, within IBM's budgets"
    learning_rate: ClassVar[float] = 6e-3

    score: Literal["magnitude", "ib"] = "magnitude"

    def __post_init__(self) -> None:
        check_choices(self)
        self.check_budget()
        self.check_schedule()

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        del carry
        fisher = FisherAverage(shared, self.name, self.decay) if self.score == "ib" else None
        target = self.budget(shared.total(), shared.frozen_count())
        chooser = choosing(shared, target, refines=self.refines)
        evidence = fisher or Evidence(shared, self.name)
        return GradualLearner(shared, self.name, self.pace(plan), chooser, fisher, evidence)
