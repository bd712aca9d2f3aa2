"""PackNet (Mallya and Lazebnik, CVPR 2018, "PackNet: Adding Multiple Tasks to a Single Network", arXiv 1711.05769).

A task trains all free weights beside all frozen ones, then keeps in every layer a fraction of the free weights, those
of largest |w|, and retrains them. Every frozen weight is in use as it is: there is no choice among them, so a
task's mask is all that is frozen and what it claims, and the free weights of a layer shrink to (1 - keep)^t.

Where we differ from the published code (github.com/arunmallya/packnet):
* Pruned weights start the next task from the base network's values; there they start from 0 (`free_scale=0`).
* Biases and norms are each task's own; there they are those of the first task (for biases it has an option).
* Training and retraining are one run of one optimizer and one schedule of its learning rate; there 20 epochs of SGD
  are followed by 10 at a tenth of the rate.
* One fraction for all tasks; there the first task prunes 50%, the next ones 75%, and the last one nothing.
* The network at the end of training is kept; there that of the epoch with the best accuracy on the test images.
* The network need not be pretrained; there the first task is ImageNet, pretrained.
* The fraction kept is rounded down, equal scores go by |w|, then by position, and at least one weight of a layer
  stays while any is free.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from narrows.errors import CapacityError, ConfigError
from narrows.masks import best, magnitudes
from narrows.methods.base import Extent, Learner, Method, SharedWeights, State
from narrows.methods.evidence import latest_start
from narrows.methods.information import FisherAverage
from narrows.methods.isolation import Isolator
from narrows.methods.options import check_choices, check_decay, check_range
from narrows.methods.warm_start import scale_free


@dataclass(frozen=True)
class PackNet(Method):
    """Iterative pruning: each task packs itself into a part of what is free.

    Args:
        keep: fraction of each layer's free weights that a task claims; the published runs keep .5 or .25.
        prune_at: fraction of training after which the others leave; the rest retrains what stays.
        score: "magnitude" keeps the largest |w|; "ib" the largest theta^2 F in each layer.
        free_scale: a task after the first starts from free weights scaled by this (fraction of their initial
            value); 0 is what the published code does.
        decay: of the moving average that is the Fisher information (`score="ib"`).

    Raises:
        ConfigError: an option out of range.

    >>> PackNet(keep=0.5).claims(9), PackNet(keep=0.5).claims(1), PackNet(keep=0.5).claims(0)
    (4, 1, 0)
    """

    name: ClassVar[str] = "packnet"
    summary: ClassVar[str] = "PackNet: each task claims a fraction of every layer's free weights, and uses all others'"
    learning_rate: ClassVar[float] = 3e-3

    keep: float = 0.25
    prune_at: float = 0.5
    score: Literal["magnitude", "ib"] = "magnitude"
    free_scale: float = 1.0
    decay: float = 0.95

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 < self.keep <= 1:
            raise ConfigError(f"packnet: keep is a fraction of each layer's free weights, in (0, 1]; got {self.keep}.")
        if not 0 < self.prune_at <= 1:
            raise ConfigError(f"packnet: prune_at is a fraction of training, in (0, 1]; got {self.prune_at}.")
        check_range(self, "free_scale", 0, 10)
        check_decay(self, self.decay)

    def claims(self, free: int) -> int:
        """How many weights a task claims in a layer with so many free ones: rounded down, at least one of any."""
        return min(free, max(1, int(self.keep * free)))

    def check(self, shared: SharedWeights) -> None:
        if shared.frozen_count() == shared.total():
            raise CapacityError(
                f"packnet: none of the {shared.total():,} shared weights is free. Keep a smaller fraction (keep) from "
                "the first task on, or use a larger network."
            )

    def check_tasks(self, tasks: int, sizes: Sequence[int] | None = None) -> None:
        fit = 1 if self.keep == 1 else tasks
        if sizes is not None:
            fit = max(self._tasks_in(size) for size in sizes)
        if tasks > fit:
            raise CapacityError(
                f"packnet: {tasks} tasks do not fit, {fit} do: each claims {self.keep:.0%} of what is free in every "
                "layer, rounded down, until nothing is. Lower keep, or use a larger network."
            )

    def initialise(self, shared: SharedWeights, carry: Mapping[str, Tensor] | None) -> None:
        super().initialise(shared, carry)
        scale_free(shared, self.free_scale)

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        del carry
        return PackNetLearner(shared, self, plan)

    def _tasks_in(self, free: int) -> int:
        """Tasks after which a layer with so many free weights has none."""
        tasks = 0
        while free:
            free -= self.claims(free)
            tasks += 1
        return tasks


class PackNetLearner(Learner):
    """Trains everything free, prunes once, trains what is left."""

    def __init__(self, shared: SharedWeights, config: PackNet, plan: Extent) -> None:
        super().__init__(shared)
        self._config = config
        self._total_steps = plan.require_steps(config.name)
        self._prune_step = self._asked = max(1, round(config.prune_at * self._total_steps))
        self._step = 0
        self._pruned = False
        self._latest = latest_start(self._asked, self._total_steps)
        self._fisher = FisherAverage(shared, config.name, config.decay) if config.score == "ib" else None
        self._isolator = Isolator(shared)

    @property
    def masks(self) -> list[Tensor]:
        return self._isolator.masks

    @property
    def claims(self) -> list[Tensor]:
        return self._isolator.claims

    def before_step(self) -> None:
        if self._fisher is not None and not self._pruned:
            self._fisher.add()
        self._isolator.mask_gradients()

    def after_step(self) -> None:
        self._step += 1
        if not self._pruned and self._step >= self._asked:
            if self._fisher is not None and self._fisher.awaited(self._step, self._latest):
                left = self._total_steps - self._step
                self._prune_step = self._step + max(1, round(self._config.prune_at * left))
            elif self._step >= self._prune_step:
                self._prune()
        self._isolator.restore()

    def finish(self) -> None:
        if not self._pruned:
            if self._fisher is not None:
                self._fisher.require(self._step)
            if self._step:
                warnings.warn(
                    f"packnet: training ended at step {self._step} of the {self._total_steps} it was told, before "
                    "weights were pruned; they leave now, which costs accuracy. Say the true total_steps.",
                    stacklevel=2,
                )
            self._prune()
        self._isolator.restore()

    @property
    def settled(self) -> bool:
        """Whether the others have left."""
        return self._pruned

    @property
    def pruning(self) -> tuple[int, int]:
        """All at one step."""
        return self._prune_step, self._prune_step

    def state(self) -> State:
        fisher = {} if self._fisher is None else {"fisher": self._fisher.state()}
        kept = {"step": self._step, "prune_step": self._prune_step, "pruned": self._pruned}
        return kept | {"claims": list(self.claims)} | fisher

    def load_state(self, state: State) -> None:
        self._step, self._prune_step, self._pruned = state["step"], state["prune_step"], state["pruned"]
        rows = zip(state["claims"], self.shared.params, strict=True)
        self._claim([claim.to(param.device, copy=True) for claim, param in rows])
        if self._fisher is not None:
            self._fisher.load_state(state["fisher"])

    @torch.no_grad()
    def _prune(self) -> None:
        rows = zip(self._scores(), self.shared.frozen, self.shared.params, strict=True)
        self._pruned = True
        self._claim(
            [
                best(
                    score,
                    ~frozen,
                    self._config.claims(int((~frozen).count_nonzero())),
                    magnitudes([param]),
                )
                for score, frozen, param in rows
            ]
        )
        if self._fisher is not None:
            self._fisher.let_go([at[:0] for at in self.shared.frozen_at])

    def _claim(self, claims: list[Tensor]) -> None:
        self._isolator.hold(claims, [torch.ones_like(at, dtype=torch.bool) for at in self.shared.frozen_at])
        if self._pruned:
            self._isolator.settle()

    def _scores(self) -> list[Tensor]:
        if self._fisher is not None:
            return self._fisher.scores(self.shared.params)
        return [param.detach().abs() for param in self.shared.params]
