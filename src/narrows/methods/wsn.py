"""WSN: Winning SubNetworks (Kang et al., ICML 2022, "Forget-free Continual Learning with Winning Subnetworks").

Every weight has a learned score. A task uses in each layer the fraction c with the highest scores; the
scores are trained straight through the choice, the weights only where chosen and
not frozen.

Where we differ: task accuracies are re-measured from the store, masks are stored as packed bits, and the
mask saved is the one the accuracy was measured with. Scores are carried from task to task, as in the
published code (starting them afresh costs several points there). Weights that the mask leaves out hold
still here; in the published code Adam's momentum still moves them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError
from narrows.masks import best_each
from narrows.methods.base import Learner, Method, Plan, SharedWeights


@dataclass(frozen=True)
class WSN(Method):
    """Winning SubNetworks.

    Args:
        density: c, the fraction of each layer's weights that a task uses.

    >>> WSN(density=0.1).config()
    {'density': 0.1}
    """

    name: ClassVar[str] = "wsn"
    summary: ClassVar[str] = "Winning SubNetworks: learned scores, the best fraction c of every layer"

    density: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ConfigError(f"wsn: density is a fraction of each layer, in (0, 1]; got {self.density}.")

    def learner(self, shared: SharedWeights, plan: Plan, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return WSNLearner(shared, self.density, carry)


class WSNLearner(Learner):
    """Holds the dense weights beside the parameters, which carry `weight * mask`."""

    def __init__(self, shared: SharedWeights, density: float, carry: Mapping[str, Tensor] | None) -> None:
        super().__init__(shared)
        self._density = density
        self._dense = [param.detach().clone() for param in shared.params]
        self._scores = [nn.Parameter(_initial_score(param)) for param in shared.params]
        for name, dense, score, frozen in zip(shared.names, self._dense, self._scores, shared.frozen, strict=True):
            if carry is not None and f"score.{name}" in carry:
                score.data.copy_(carry[f"score.{name}"])
                kept = carry[f"weight.{name}"].to(dense.device)
                dense.copy_(torch.where(frozen, dense, kept))
        self._choose()
        self._show()

    @property
    def masks(self) -> list[Tensor]:
        return self._masks

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._scores, "weight_decay": 0.0}]

    @torch.no_grad()
    def before_step(self) -> None:
        for param, score, dense, trainable in zip(
            self.shared.params, self._scores, self._dense, self._trainable, strict=True
        ):
            if param.grad is not None:
                score.grad = param.grad * dense  # straight through: d loss/d score = d loss/d(w m) * w
                param.grad.mul_(trainable)

    @torch.no_grad()
    def after_step(self) -> None:
        for param, dense, trainable in zip(self.shared.params, self._dense, self._trainable, strict=True):
            dense.copy_(torch.where(trainable, param, dense))
        self._choose()
        self._show()

    def finish(self) -> None:
        self._show()

    def carry(self) -> dict[str, Tensor]:
        rows = zip(self.shared.names, self._scores, self._dense, strict=True)
        carried: dict[str, Tensor] = {}
        for name, score, dense in rows:
            carried[f"score.{name}"] = score.detach()
            carried[f"weight.{name}"] = dense
        return carried

    @torch.no_grad()
    def _choose(self) -> None:
        self._masks = best_each([score.detach() for score in self._scores], self._density)
        self._trainable = [m & ~f for m, f in zip(self._masks, self.shared.frozen, strict=True)]

    @torch.no_grad()
    def _show(self) -> None:
        for param, dense, mask in zip(self.shared.params, self._dense, self._masks, strict=True):
            param.copy_(torch.where(mask, dense, torch.zeros_like(dense)))


def _initial_score(param: Tensor) -> Tensor:
    """Kaiming-uniform with a = sqrt(5), as the published code draws scores: U(-1/sqrt(fan_in), ...)."""
    fan_in = max(1, math.prod(param.shape[1:]))
    bound = 1 / math.sqrt(fan_in)
    return torch.empty_like(param, requires_grad=False).uniform_(-bound, bound)
