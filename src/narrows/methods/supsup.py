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
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError
from narrows.masks import NaNWatch, best_each
from narrows.methods.base import Extent, Learner, Method, SharedWeights, State, copy_each
from narrows.methods.evidence import Evidence
from narrows.methods.isolation import show
from narrows.methods.own_parameters import precise
from narrows.methods.sizes import Sizes


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
        if not 0 < self.density <= 1:
            raise ConfigError(f"supsup: density is a fraction of each layer, in (0, 1]; got {self.density}.")
        if self.weights not in ("signed", "base"):
            raise ConfigError(f"supsup: weights is one of signed, base; got {self.weights!r}.")

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
        return SupSupLearner(shared, self.density)


class SupSupLearner(Learner):
    """Holds the fixed weights beside the parameters, which carry `weight * mask`. Scores start afresh."""

    def __init__(self, shared: SharedWeights, density: float) -> None:
        super().__init__(shared)
        self._density = density
        self._evidence, self._watch = Evidence(shared, SupSup.name), NaNWatch()
        self._fixed = [param.detach().clone() for param in shared.params]
        self._scores = [nn.Parameter(_initial_score(param)) for param in shared.params]
        self._choose()

    @property
    def masks(self) -> list[Tensor]:
        return self._masks

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._scores, "weight_decay": 0.0}]

    @torch.no_grad()
    def before_step(self) -> None:
        self._evidence.add()
        for param, score, fixed in zip(self.shared.params, self._scores, self._fixed, strict=True):
            score.grad = None
            if param.grad is not None:
                # straight through the choice by |score|: d loss / d|score| = d loss / d(w m) * w
                score.grad = precise(param.grad) * fixed * score.sign()
                param.grad.zero_()

    def after_step(self) -> None:
        self._choose()

    def finish(self) -> None:
        self._evidence.doubt()
        self._choose()
        self._watch.require()

    def sizes(self) -> Sizes:
        self._watch.require()
        return super().sizes()

    @property
    def settled(self) -> bool:
        """Always: the mask of any moment has its size, and goes on changing."""
        return True

    def state(self) -> State:
        scores = [score.detach() for score in self._scores]
        return {"fixed": list(self._fixed), "scores": scores, "evidence": self._evidence.state()}

    def load_state(self, state: State) -> None:
        copy_each(self._fixed, state["fixed"])
        copy_each(self._scores, state["scores"])
        self._evidence.load_state(state["evidence"])
        self._choose()

    @torch.no_grad()
    def _choose(self) -> None:
        scores = [score.detach().abs() for score in self._scores]
        self._masks = best_each(scores, self._density, watch=self._watch)
        show(self.shared.params, self._fixed, self._masks)


def _fan_in(param: Tensor) -> int:
    return max(1, math.prod(param.shape[1:]))


def _kaiming(param: Tensor) -> float:
    """Standard deviation of Kaiming's normal initial weights under ReLU (He et al. 2015)."""
    return math.sqrt(2 / _fan_in(param))


def _initial_score(param: Tensor) -> Tensor:
    """Kaiming-uniform with a = sqrt(5), as the published code draws scores: U(-1/sqrt(fan_in), ...)."""
    bound = 1 / math.sqrt(_fan_in(param))
    return torch.empty_like(precise(param)).uniform_(-bound, bound)
