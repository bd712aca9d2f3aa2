"""HAT: Hard Attention to the Task (Serra et al., ICML 2018, arXiv 1801.01423).

Every unit of a layer has a gate a = sigmoid(s e) with a learned embedding e. s grows from 1/smax to smax over
training, so that gates begin half open and end open or shut; gates that earlier tasks left shut cost c.
Weights between open gates are the task's, and no later task changes them.

Where we differ:

* A method here sees weights and not the network's graph, so gates are in the weights: each parameter has its own for
  its output units (dimension 0) and its input units (dimension 1), and its effective weight is
  w * a_out * a_in. What a layer puts out and what the next takes in are gated apart, the network's inputs too.
  Biases and norms are the task's own and without gates.
* Frozen are the weights that some task uses; the paper also freezes those between two units of
  which one task used one and another task the other.
* Weights that no task uses start each task from the base network, as for every method here; in the paper they go on
  from where the last task left them.
* s is annealed once over the task (`anneal="epoch"`: anew in each epoch, as in the paper).
* Gates have a learning rate of their own: under Adam, which divides a gradient by its size, the paper's
  compensation of small gradients does nothing, and the weights' rate would hardly move them.
* At the end gates are exactly 0 or 1 (e > 0). The best gate of each set stays open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from narrows.errors import ConfigError, OptimizerError
from narrows.masks import fill_, put_
from narrows.methods.base import Extent, Learner, Method, SharedWeights, State, copy_each
from narrows.methods.evidence import Evidence
from narrows.methods.gates import REACH, Gates
from narrows.methods.options import check_choices
from narrows.methods.own_parameters import lent


@dataclass(frozen=True)
class HAT(Method):
    """Hard Attention to the Task, on the units that a parameter joins.

    Args:
        c: price of the fraction of so far unused units that the task opens, in units of the loss.
        smax: steepness of the gates at the end of training; larger is harder.
        gate_lr: learning rate of the gates, before the schedule.
        anneal: over what s grows, the whole "task" or each "epoch".

    Needs `task.sample()` around each forward and backward, as gates are soft in there only, and
    `total_steps`; `task.fit` has both.

    >>> HAT(c=2.0).smax
    400.0
    """

    name: ClassVar[str] = "hat"
    summary: ClassVar[str] = "Hard Attention to the Task: learned gates on units, hardened over training"
    learning_rate: ClassVar[float] = 3e-3

    c: float = 0.75
    smax: float = 400.0
    gate_lr: float = 0.03
    anneal: Literal["task", "epoch"] = "task"

    def __post_init__(self) -> None:
        if not 0 <= self.c < float("inf"):
            raise ConfigError(f"hat: c is a finite price, 0 or more; got {self.c}.")
        if not 1 < self.smax < float("inf"):
            raise ConfigError(f"hat: smax is a finite number above 1; got {self.smax}.")
        if not 0 < self.gate_lr <= 10:
            raise ConfigError(f"hat: gate_lr is above 0, at most 10; got {self.gate_lr}.")
        check_choices(self)

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return HATLearner(shared, self, plan)


class HATLearner(Learner):
    """Holds the gate-free weights beside the parameters, which carry `weight * open`, softly within `sample`."""

    def __init__(self, shared: SharedWeights, config: HAT, plan: Extent) -> None:
        super().__init__(shared)
        self._config = config
        self._total = plan.require_steps("hat")
        self._cycle = self._total if config.anneal == "task" else _steps_per_epoch(plan, self._total)
        self._step = 0
        self._sampled = False
        self._evidence = Evidence(shared, "hat")
        self._weights = [param.detach().clone() for param in shared.params]
        self.gates = [Gates(param, frozen) for param, frozen in zip(shared.params, shared.frozen, strict=True)]
        unused = sum(float(part.sum()) for gates in self.gates for part in gates.unused)
        self._price = config.c / unused if unused else 0.0
        self._settle()

    @property
    def masks(self) -> list[Tensor]:
        return [gates.mask() for gates in self.gates]

    @property
    def steepness(self) -> float:
        """s at this step: from 1 / smax up to smax, in even steps."""
        smax = self._config.smax
        if self._step >= self._total:
            return smax
        return 1 / smax + (smax - 1 / smax) * (self._step % self._cycle) / max(1, self._cycle - 1)

    def parameter_groups(self) -> list[dict[str, Any]]:
        embeddings = [e for gates in self.gates for e in gates.embeddings]
        return [{"params": embeddings, "lr": self._config.gate_lr, "weight_decay": 0.0}] if embeddings else []

    @contextmanager
    def sample(self) -> Iterator[None]:
        """Soft gates for one forward and backward; gradients of several add up."""
        params, weights = self.shared.params, self._weights
        attention = [gates.soft(self.steepness) for gates in self.gates]

        def soften() -> None:
            for param, weight, soft in zip(params, weights, attention, strict=True):
                param.copy_(prod(soft, start=weight))

        def turn(index: int, grad: Tensor) -> tuple[list[Tensor], Tensor]:
            return self.gates[index].turn(weights[index], attention[index], grad)

        with lent(params, [gates.embeddings for gates in self.gates], soften, self._show, turn):
            yield
        self._sampled = True

    @torch.no_grad()
    def before_step(self) -> None:
        if not self._sampled:
            raise OptimizerError(
                "hat needs its soft gates in the forward pass. Wrap it: "
                "`with task.sample(): loss = ...; loss.backward()`."
            )
        self._sampled = False
        self._evidence.add()
        for at, (gates, param) in enumerate(zip(self.gates, self.shared.params, strict=True)):
            if param.grad is None or at in self._evidence.lacking:
                gates.hold()  # its price alone would shut it
            else:
                gates.compensate(self._price, self.steepness, self._config.smax)
        # The optimizer moves w, not the effective weight: its weight decay and its state are about w.
        for param, weight, frozen in zip(self.shared.params, self._weights, self.shared.frozen_at, strict=True):
            param.copy_(weight)
            if param.grad is not None:
                fill_(param.grad, frozen, value=0.0)

    @torch.no_grad()
    def after_step(self) -> None:
        frozen = zip(self.shared.frozen_at, self.shared.frozen_values, strict=True)
        for param, weight, (at, values) in zip(self.shared.params, self._weights, frozen, strict=True):
            put_(weight.copy_(param), at, values)
        self._step += 1
        self._settle()

    def finish(self) -> None:
        self._evidence.doubt()
        self._show()

    @property
    def settled(self) -> bool:
        """Where s is at its peak: with softer gates training sees another network than the one that is left."""
        return self._step > 0 and (self._step % self._cycle == 0 or self._step >= self._total)

    def state(self) -> State:
        return {
            "step": self._step,
            "evidence": self._evidence.state(),
            "weights": list(self._weights),
            "embeddings": [[e.detach() for e in gates.embeddings] for gates in self.gates],
        }

    def load_state(self, state: State) -> None:
        self._step = state["step"]
        self._evidence.load_state(state["evidence"])
        copy_each(self._weights, state["weights"])
        for gates, embeddings in zip(self.gates, state["embeddings"], strict=True):
            copy_each(gates.embeddings, embeddings)
        self._settle()

    @torch.no_grad()
    def _settle(self) -> None:
        for gates in self.gates:
            gates.settle(REACH / self._config.smax)  # open, to a quarter of a percent, at smax
        self._show()

    @torch.no_grad()
    def _show(self) -> None:
        for param, weight, gates in zip(self.shared.params, self._weights, self.gates, strict=True):
            param.copy_(gates.cut(weight))


def _steps_per_epoch(plan: Extent, total: int) -> int:
    if not plan.examples or not plan.batch_size:
        raise OptimizerError(
            'hat with anneal="epoch" must know how long an epoch is: say '
            "task.optimizer(..., examples=len(dataset), batch_size=...)."
        )
    epochs = max(1, round(total / ceil(plan.examples / plan.batch_size)))
    return max(1, total // epochs)
