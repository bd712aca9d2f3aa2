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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from narrows.errors import CapacityError
from narrows.masks import Layout, best, magnitudes
from narrows.methods.base import Extent, Learner, SharedWeights
from narrows.methods.gradual import GradualLearner
from narrows.methods.information import FisherAverage
from narrows.methods.options import check_choices, check_decay, check_fraction, check_range
from narrows.methods.pace import Once
from narrows.methods.schedule import Budget, Choice, Chooser, Worth
from narrows.methods.warm_start import WarmStart


@dataclass(frozen=True)
class PackNet(WarmStart):
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
        check_fraction(self, "keep", "each layer's free weights")
        check_fraction(self, "prune_at", "training")
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

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        del carry
        fisher = FisherAverage(shared, self.name, self.decay) if self.score == "ib" else None
        pace = Once(plan.require_steps(self.name), self.prune_at)
        return GradualLearner(shared, self.name, pace, EachLayer(shared, self.claims), fisher)

    def _tasks_in(self, free: int) -> int:
        """Tasks after which a layer with so many free weights has none."""
        tasks = 0
        while free:
            free -= self.claims(free)
            tasks += 1
        return tasks


class EachLayer(Chooser):
    """Keeps of the free weights of each layer as many as `claims` says, and every frozen one as it is."""

    def __init__(self, shared: SharedWeights, claims: Callable[[int], int]) -> None:
        self._params = shared.params
        self._counts = [claims(free) for free in shared.free_by_layer().values()]
        layout = Layout(param.shape for param in shared.params)
        super().__init__(layout, shared.frozen_at, Budget(sum(self._counts), shared.frozen_count()))

    def choose(self, own: Worth, reuse: Worth, choice: Choice, progress: float) -> Choice:
        del reuse, progress
        parts = zip(*map(self.layout.split, (own.scores, choice.own)), self._counts, self._params, strict=True)
        kept = [best(scores, free, count, magnitudes([param])) for scores, free, count, param in parts]
        return Choice(self.layout.join(kept), choice.reused)
