"""SupSup: Supermasks in Superposition (Wortsman et al., NeurIPS 2020, arXiv 2006.14769).

Weights are random and never trained. Every weight has a score for each task; a task uses in each layer the
fraction with the largest scores (edge-popup, Ramanujan et al., CVPR 2020), and only the scores are
trained, straight through the choice. As no task changes a weight, none can forget.

Where we differ: biases, norms and the head are the task's own and are trained (the published networks have no
biases, and mask the last layer like the others unless told otherwise), and the task is given, not inferred (of
the paper's scenarios, "GG"). A claimed weight's value is stored like that of any method, though it follows from
the base network: beside that, a task is its mask and its private parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from narrows.masks import put_
from narrows.methods.base import Extent, Learner, Method, SharedWeights
from narrows.methods.options import check_choices, check_fraction
from narrows.methods.straight_through import StraightThroughLearner, fan_in


@dataclass(frozen=True)
class SupSup(Method):
    """Supermasks in Superposition: fixed random weights, a learned mask for each task.

    Args:
        density: the fraction of each layer's weights that a task uses.
        weights: "signed", as in the paper: the sign of the base network's weight times the layer's
            Kaiming constant sqrt(2 / fan-in); "base": the base network's weights as they are, for a network that
            was trained before.

    Weights that another method's task has frozen stay as they are.

    >>> SupSup(density=0.3).config()
    {'density': 0.3, 'weights': 'signed'}
    """

    name: ClassVar[str] = "supsup"
    summary: ClassVar[str] = "Supermasks in Superposition: random weights that no task changes, learned masks"
    learning_rate: ClassVar[float] = 1e-2

    density: float = 0.3
    weights: Literal["signed", "base"] = "signed"

    def __post_init__(self) -> None:
        check_fraction(self, "density", "each layer")
        check_choices(self)

    @torch.no_grad()
    def initialise(self, shared: SharedWeights, carry: Mapping[str, Tensor] | None) -> None:
        """The fixed weights: the same for every task, as they follow from the base network alone.

        Where tasks of other methods are in the same store, a weight has the value that the latest of them claimed.
        """
        if self.weights == "signed":
            for param in shared.params:
                param.copy_(param.sign() * _kaiming(param))
        super().initialise(shared, carry)

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return SupSupLearner(shared, self)


class SupSupLearner(StraightThroughLearner):
    """Trains nothing but scores, which start afresh. Of signed weights it holds the signs, in a byte each."""

    def __init__(self, shared: SharedWeights, config: SupSup) -> None:
        self._signed = config.weights == "signed"
        weights = [param.detach() for param in shared.params]
        fixed = [one.sign().to(torch.int8) if self._signed else one.clone() for one in weights]
        super().__init__(shared, config.name, fixed, config.density)
        self._choose()

    def weights(self, index: int) -> Tensor:
        if not self._signed:
            return super().weights(index)
        param = self.shared.params[index]
        signed = self._dense[index].to(param.dtype) * _kaiming(param)
        return put_(signed, self.shared.frozen_at[index], self.shared.frozen_values[index])

    def ranking(self) -> list[Tensor]:
        return [score.detach().abs() for score in self._scores]

    def turn(self, score: Tensor, slope: Tensor) -> Tensor:
        return slope * score.sign()

    @torch.no_grad()
    def before_step(self) -> None:
        super().before_step()
        for param in self.shared.params:
            param.grad = None  # so that the optimizer holds nothing for what it shall not move


def _kaiming(param: Tensor) -> float:
    """Standard deviation of Kaiming's normal initial weights under ReLU (He et al. 2015)."""
    return math.sqrt(2 / fan_in(param))
