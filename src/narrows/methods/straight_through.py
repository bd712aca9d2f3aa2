"""A choice made anew at every step, in each layer, of weights that lie beside the parameters: WSN's and SupSup's.

Knows what is chosen by and what of; it does not know how the weights themselves are trained, if they are.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from narrows.masks import NaNWatch, best_each, magnitudes
from narrows.methods.base import Learner, SharedWeights, State, copy_each
from narrows.methods.evidence import Evidence
from narrows.methods.information import FisherAverage
from narrows.methods.isolation import show
from narrows.methods.own_parameters import precise
from narrows.methods.schedule import Curve
from narrows.methods.sizes import Sizes


class StraightThroughLearner(Learner):
    """Its parameters carry `weight * mask`: of each layer's weights the fraction with the highest scores.

    Scores are trained straight through the choice, or are theta^2 F, which needs no training.

    Args:
        shared: the parameters it works on.
        method: its name, for messages.
        dense: what `weights` is made of.
        density: of each layer's weights, in use at the end.
        curve: on which that falls from 1; None where it is constant.
        fisher: what F is, where that is the score.
    """

    def __init__(
        self,
        shared: SharedWeights,
        method: str,
        dense: list[Tensor],
        density: float,
        curve: Curve | None = None,
        fisher: FisherAverage | None = None,
    ) -> None:
        super().__init__(shared)
        self._method, self._density, self._curve, self._step = method, density, curve, 0
        self._dense, self._fisher = dense, fisher
        self._evidence, self._watch = fisher or Evidence(shared, method), NaNWatch()
        self._scores = [] if fisher else [nn.Parameter(_initial_score(param)) for param in shared.params]

    def weights(self, index: int) -> Tensor:
        """All that is chosen from for the parameter of that number, in its shape."""
        return self._dense[index]

    def ranking(self) -> list[Tensor]:
        """The scores, of the parameters' shapes."""
        if self._fisher is None:
            return [score.detach() for score in self._scores]
        return self._fisher.scores(self._all())

    def turn(self, score: Tensor, slope: Tensor) -> Tensor:  # noqa: ARG002
        """d loss / d score of d loss / d rank."""
        return slope

    @property
    def masks(self) -> list[Tensor]:
        return self._masks

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._scores, "weight_decay": 0.0}] if self._scores else []

    @torch.no_grad()
    def before_step(self) -> None:
        self._evidence.add()
        for index, score in enumerate(self._scores):
            grad = self.shared.params[index].grad
            # straight through the choice: d loss / d rank = d loss / d(w m) * w
            score.grad = None if grad is None else self.turn(score, precise(grad) * self.weights(index))

    def after_step(self) -> None:
        self._step += 1
        self._choose()

    def finish(self) -> None:
        self._evidence.doubt()
        if self._curve is not None and not self.settled:
            if self._step:
                warnings.warn(
                    f"{self._method}: training ended at step {self._step}, before {self._curve.stop}, where the "
                    "sub-network has its density; the rest leaves at once, which costs accuracy. Say the true "
                    "total_steps.",
                    stacklevel=2,
                )
            self._curve = None
        self._choose()
        self._watch.require()

    def sizes(self) -> Sizes:
        self._watch.require()
        return super().sizes()

    @property
    def settled(self) -> bool:
        """Whether the mask has its size; which weights are in it goes on changing to the end."""
        return self._curve is None or self._step >= self._curve.stop

    @property
    def pruning(self) -> tuple[int, int] | None:
        return None if self._curve is None else (self._curve.start, self._curve.stop)

    def state(self) -> State:
        scores = [score.detach() for score in self._scores]
        return {"step": self._step, "scores": scores, "evidence": self._evidence.state()}

    def load_state(self, state: State) -> None:
        self._step = state["step"]
        copy_each(self._scores, state["scores"])
        self._evidence.load_state(state["evidence"])
        self._choose()

    @torch.no_grad()
    def _choose(self) -> None:
        sizes = (
            None if self._fisher is None else [magnitudes([weight]) for weight in self._all()]
        )  # learned scores do not tie
        left = 0.0 if self._curve is None else 1 - self._curve.at(self._step)
        fraction = self._density + (1 - self._density) * left
        self._masks = best_each(self.ranking(), fraction, sizes, self._watch)
        show(self.shared.params, map(self.weights, range(len(self._masks))), self._masks)

    def _all(self) -> list[Tensor]:
        return [self.weights(index) for index in range(len(self.shared.params))]


def fan_in(param: Tensor) -> int:
    """Inputs of one of its units."""
    return max(1, math.prod(param.shape[1:]))


def _initial_score(param: Tensor) -> Tensor:
    """Kaiming-uniform with a = sqrt(5), as the published code draws scores: U(-1/sqrt(fan_in), ...)."""
    bound = 1 / math.sqrt(fan_in(param))
    return torch.empty_like(precise(param)).uniform_(-bound, bound)
