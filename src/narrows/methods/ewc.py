"""EWC: Elastic Weight Consolidation (Kirkpatrick et al., PNAS 2017, arXiv 1612.00796).

One network for all tasks. A new task pays for moving a weight away from where the last one left it, the more
the earlier tasks depend on it: strength / 2 * sum F (theta - theta*)^2, F being the diagonal Fisher
information. That slows forgetting and does not prevent it.

Where we differ: one penalty around the last task's weights, with the sum of the Fishers of all tasks so
far, older ones discounted by gamma (online EWC: Schwarz et al., ICML 2018, arXiv 1805.06370, eq. 9), in the
place of one penalty for each task. A method sees no data but the training batches, so F is measured in the
last fifth of the training, as batch size * mean of the squared mini-batch gradients, and not afterwards
from the gradients of single examples; the two agree where the mean gradient is small beside its
noise. Gradients that are clipped are measured as clipped. Private parameters (biases, norms, the head) are each
task's own, cannot be forgotten, and carry no penalty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from narrows.errors import ConfigError, OptimizerError
from narrows.methods.base import Extent, Isolation, Learner, Method, SharedWeights, State, copy_each
from narrows.methods.dense import DenseLearner

MEASURED = 0.2
"""The part of the training, at its end, in which F is measured."""


@dataclass(frozen=True)
class EWC(Method):
    """Elastic Weight Consolidation, in its online form.

    Args:
        strength: lambda, what the penalty weighs against the task's mean loss; 0 is `finetune`.
        gamma: what is left of the earlier tasks' Fisher information at each new task, 0 to 1; 1: all of it.

    >>> EWC(strength=100).isolation
    'none'
    """

    name: ClassVar[str] = "ewc"
    summary: ClassVar[str] = "one network; moving a weight costs by the Fisher information of earlier tasks"
    isolation: ClassVar[Isolation] = "none"
    tunable: ClassVar[Mapping[str, tuple[float, float]]] = {**Method.tunable, "strength": (10.0, 1e5)}

    strength: float = 1000.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength < float("inf"):
            raise ConfigError(f"ewc: strength is a finite number, 0 or more; got {self.strength}.")
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"ewc: gamma is from 0 to 1; got {self.gamma}.")

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        return EWCLearner(shared, self, plan, carry)


class EWCLearner(DenseLearner):
    """Adds the penalty's gradient, and measures this task's Fisher information for the next."""

    def __init__(self, shared: SharedWeights, config: EWC, plan: Extent, carry: Mapping[str, Tensor] | None) -> None:
        super().__init__(shared)
        if not plan.batch_size:
            raise OptimizerError(
                "ewc measures the information of single examples and must know how many a step averages over: "
                "say task.optimizer(..., batch_size=...)."
            )
        self._config = config
        self._batch_size = plan.batch_size
        self._first = int((1 - MEASURED) * plan.require_steps("ewc"))
        self._step = 0
        self._squares: list[Tensor] = []  # from the first step at which F is measured
        self._left = dict(carry or {})  # also of parameters that this task's head takes the place of
        self._fisher = self._left_of("fisher")
        self._anchor = self._left_of("anchor")

    @torch.no_grad()
    def before_step(self) -> None:
        measuring = self._step >= self._first
        if measuring and not self._squares:
            self._squares = self._zeros()
        for at, (param, fisher, anchor) in enumerate(zip(self.shared.params, self._fisher, self._anchor, strict=True)):
            if param.grad is None:
                continue
            if measuring:
                self._squares[at].addcmul_(param.grad, param.grad)  # before the penalty: no information of this task
            if self._config.strength and fisher is not None and anchor is not None:
                param.grad.add_(fisher * (param - anchor), alpha=self._config.strength)

    def after_step(self) -> None:
        self._step += 1

    @property
    def settled(self) -> bool:
        """Whether F is being measured: a network taken from before has nothing to tell the next task."""
        return self._step > self._first

    def state(self) -> State:
        return {"step": self._step, "squares": list(self._squares)}

    def load_state(self, state: State) -> None:
        self._step = state["step"]
        self._squares = self._zeros() if state["squares"] else []
        copy_each(self._squares, state["squares"])

    def finish(self) -> None:
        if not self.settled:
            raise OptimizerError(
                f"ewc measures what weights matter in the last steps, from step {self._first + 1} on, and training "
                f"ended after {self._step}: say the steps that will be taken, task.optimizer(..., total_steps=...)."
            )

    def carry(self) -> dict[str, Tensor]:
        """The Fisher information of all tasks so far, and this task's weights."""
        scale = self._batch_size / max(1, self._step - self._first)
        carried = dict(self._left)
        rows = zip(self.shared.names, self.shared.params, self._squares or self._zeros(), self._fisher, strict=True)
        for name, param, squares, fisher in rows:
            measured = scale * squares
            carried[f"fisher.{name}"] = measured if fisher is None else measured.add_(self._config.gamma * fisher)
            carried[f"anchor.{name}"] = param.detach()
        return carried

    def _left_of(self, what: str) -> list[Tensor | None]:
        """What the tasks before left of each parameter, on its device; None where there is nothing."""
        rows = zip(self.shared.names, self.shared.params, strict=True)
        left = [(self._left.get(f"{what}.{name}"), param) for name, param in rows]
        return [None if value is None else value.to(param) for value, param in left]

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(param, requires_grad=False) for param in self.shared.params]
