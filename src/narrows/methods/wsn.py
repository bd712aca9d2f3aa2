"""WSN: Winning SubNetworks (Kang et al., ICML 2022, "Forget-free Continual Learning with Winning Subnetworks").

Every weight has a learned score. A task uses in each layer the fraction c with the highest scores; the
scores are trained straight through the choice, the weights only where chosen and
not frozen.

Where we differ: task accuracies are re-measured from the store, masks are stored as packed bits, and the
mask saved is the one the accuracy was measured with. Scores are carried from task to task, as in the
published code (starting them afresh costs several points there). Weights that the mask leaves out hold
still here; in the published code Adam's momentum still moves them.

Three options are ours: `warm_start`, `schedule="gradual"` and `score="ib"`. Without them it is WSN as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from narrows.masks import fill_, pick, put_
from narrows.methods.base import Extent, Learner, SharedWeights, State, copy_each
from narrows.methods.information import FisherAverage
from narrows.methods.isolation import ones
from narrows.methods.options import check_choices, check_curve, check_decay, check_fraction, check_range
from narrows.methods.schedule import Curve
from narrows.methods.straight_through import StraightThroughLearner
from narrows.methods.warm_start import WarmStart


@dataclass(frozen=True)
class WSN(WarmStart):
    """Winning SubNetworks.

    Args:
        density: c, the fraction of each layer's weights that a task uses.
        warm_start: False: scores and free weights go on from where the last task left them, as published.
            True: nothing is carried; a task starts from the frozen weights, and from free ones at the base
            network's values times `free_scale`, as in `IBM`.
        schedule: "constant": the fraction is c from the first step, as published; "gradual": it falls from 1 to c
            on IBM's cubic curve, and training must say `total_steps`.
        score: "learned", as published; "ib": theta^2 F, as in `IBM`, with nothing to train besides the weights. The
            choice is made anew at every step all the same, so a weight can come back. Before the first gradient
            all F count as equal.
        free_scale: fraction of their initial value that free weights start from (`warm_start=True`).
        prune_from, prune_until: fractions of training between which the fraction falls (`schedule="gradual"`).
        decay: of the moving average that is the Fisher information (`score="ib"`).

    Raises:
        ConfigError: an option out of range.

    >>> WSN(density=0.1) == WSN(density=0.1, warm_start=False, schedule="constant", score="learned")
    True
    """

    name: ClassVar[str] = "wsn"
    summary: ClassVar[str] = "Winning SubNetworks: learned scores, the best fraction c of every layer"

    density: float = 0.1
    warm_start: bool = False
    schedule: Literal["constant", "gradual"] = "constant"
    score: Literal["learned", "ib"] = "learned"
    free_scale: float = 0.3
    prune_from: float = 0.05
    prune_until: float = 0.6
    decay: float = 0.95

    def __post_init__(self) -> None:
        check_fraction(self, "density", "each layer")
        check_choices(self)
        check_range(self, "free_scale", 0, 10)
        check_curve(self, self.prune_from, self.prune_until)
        check_decay(self, self.decay)

    @property
    def starts_warm(self) -> bool:
        return self.warm_start

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        return WSNLearner(shared, self, plan, None if self.warm_start else carry)

    def curve(self, plan: Extent) -> Curve | None:
        """On which the fraction falls, or None where it is constant."""
        if self.schedule == "constant":
            return None
        return Curve.over(plan.require_steps("wsn"), self.prune_from, self.prune_until)


class WSNLearner(StraightThroughLearner):
    """Trains the weights that are in and free; the others hold still."""

    def __init__(self, shared: SharedWeights, config: WSN, plan: Extent, carry: Mapping[str, Tensor] | None) -> None:
        fisher = FisherAverage(shared, config.name, config.decay) if config.score == "ib" else None
        dense = [param.detach().clone() for param in shared.params]
        super().__init__(shared, config.name, dense, config.density, config.curve(plan), fisher)
        self._carries = not config.warm_start
        self._take_up(carry or {})
        self._trained: list[Tensor] = []  # there during a step
        self._choose()

    @torch.no_grad()
    def before_step(self) -> None:
        super().before_step()
        rows = zip(self._masks, self._dense, self.shared.frozen_at, strict=True)
        self._trained = [fill_(ones(mask, dense), at, value=0.0) for mask, dense, at in rows]  # 1 where in and free
        for param, trained in zip(self.shared.params, self._trained, strict=True):
            if param.grad is not None:
                param.grad.mul_(trained)

    @torch.no_grad()
    def after_step(self) -> None:
        for param, dense, trained in zip(self.shared.params, self._dense, self._trained, strict=True):
            dense.lerp_(param, trained)  # the one or the other
        self._trained = []
        super().after_step()

    def state(self) -> State:
        return super().state() | {"dense": list(self._dense)}

    def load_state(self, state: State) -> None:
        copy_each(self._dense, state["dense"])
        super().load_state(state)

    def carry(self) -> dict[str, Tensor] | None:
        if not self._carries:
            return None
        names = self.shared.names
        carried = {f"weight.{name}": dense for name, dense in zip(names, self._dense, strict=True)}
        if self._scores:
            carried |= {f"score.{name}": score.detach() for name, score in zip(names, self._scores, strict=True)}
        return carried

    @torch.no_grad()
    def _take_up(self, carry: Mapping[str, Tensor]) -> None:
        """Goes on from the last task's free weights and, if both have learned ones, from its scores."""
        for name, dense, at in zip(self.shared.names, self._dense, self.shared.frozen_at, strict=True):
            if f"weight.{name}" in carry:
                frozen = pick(dense, at)
                put_(dense.copy_(carry[f"weight.{name}"]), at, frozen)
        for name, score in zip(self.shared.names, self._scores, strict=False):
            if f"score.{name}" in carry:
                score.copy_(carry[f"score.{name}"])
