"""IBM as a method: what a task starts from, and the learner of the estimator asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from narrows.methods.base import Extent, Learner, SharedWeights
from narrows.methods.ibm.config import IBMConfig
from narrows.methods.ibm.laplace import LaplaceLearner
from narrows.methods.ibm.variational import AdditiveLearner, MultiplicativeLearner


@dataclass(frozen=True)
class IBM(IBMConfig):
    """Information Bottleneck Masked sub-network (Chen, Song, Gao, Shen, arXiv 2312.00840).

    Keeps a weight only where the information it carries about the task is worth its price: a Gaussian
    gate N(theta, sigma^2) on each weight costs KL = 1/2 log(1 + theta^2/sigma^2) nats (the paper's penalty), and a
    weight whose gate is more noise than signal, alpha = sigma^2/theta^2 > 1, is dropped.

    Say a budget or a price, not both; nothing said means `density=0.04`. With the variational estimator a price may
    stand beside a budget: it shapes the gates (0.01 where not said), and the budget decides how many weights stay.

    Args:
        density: fraction of the shared weights that a task may use. The first task claims all of it; a
            later one claims a quarter of it as new weights and reuses frozen weights for the rest (for
            all of it as far as there are frozen weights, the remainder being claimed).
        new, reuse: the two budgets said apart, as fractions of the shared weights. The first task, with
            nothing to reuse, gets the larger of the two as new weights.
        beta: price of information: minimised is (expected loss) + (beta / N) * (sum of KL in nats) over N
            training examples. Density follows. With the laplace estimator prices of 0.001 to 0.1 are usual: the
            gradients of a network that fits its data vanish, and with them what its weights seem to carry.
        beta_new, beta_reuse: the price said apart for values of the task's own and for reused ones; default `beta`.
        estimator: "laplace" has sigma^2 in closed form from the diagonal Fisher information (ours; no noise,
            no parameters); "variational" learns log sigma^2 with sampled noise, as the paper does.
        gates: of the variational estimator: "multiplicative" z = w (mu + sigma eps) as in the paper, or
            "additive" z = w + sigma eps.
        ratio: layer prices from decomposing the hidden representations: "none"; "features": price times
            (effective rank / channels), as the published code does, so that layers of high rank are pruned
            harder; "inverse": price divided by it, so that layers of low rank are.
        ratio_every: epochs between two measurements of the ratio.
        refine: whether a task may have values of its own where weights are frozen (laplace). What such a value is
            worth is measured from the frozen one, which stays as it is for the tasks that use it, and to which the
            task falls back. A refined weight counts as new. Variational gates refine nothing, whatever this says.
        free_scale: a new task starts from the frozen weights and from free ones scaled by this (fraction
            of their initial value; the first task's are not scaled).
        prune_from, prune_until: fractions of training between which the sub-network shrinks, on a cubic curve.
        prune_every: optimizer steps between two choices; None is 10, or fewer in a training too short for 20.
        decay: of the moving average that is the Fisher information (laplace).
        gate_lr: learning rate of the gates (variational).
        log_alpha: initial log alpha of the gates (variational).
        log_alpha_range: log alpha is clipped to it (variational).
        kl_warmup: fraction of training over which the KL term grows linearly to its weight (variational).

    Raises:
        ConfigError: an option out of range, or a budget together with a price.

    Differences from the paper, with reasons in docs/method.md: closed-form variances by default;
    one budget or price over all layers; weights leave gradually instead of at the end; norms and biases are
    per task; a task stores a mask and the weights it claimed, not gates.

    >>> IBM(new=0.01, reuse=0.03).budget(total=1000, frozen=0)
    Budget(new=30, reuse=0)
    >>> IBM(density=0.04).budget(total=1000, frozen=100)
    Budget(new=10, reuse=30)
    """

    name: ClassVar[str] = "ibm"
    summary: ClassVar[str] = "Information Bottleneck Masked sub-network: weights kept by the nats they carry"
    learning_rate: ClassVar[float] = 6e-3

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        del carry
        if self.estimator == "laplace":
            return LaplaceLearner(shared, self, plan)
        kind = MultiplicativeLearner if self.gates == "multiplicative" else AdditiveLearner
        return kind(shared, self, plan)
