"""The options of IBM, checked and explained; what a single density or price is split into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from narrows.errors import CapacityError, ConfigError
from narrows.methods.base import Learner, Method, Plan, SharedWeights
from narrows.methods.ibm.laplace import LaplaceLearner
from narrows.methods.ibm.schedule import Budget, Price
from narrows.methods.ibm.variational import AdditiveLearner, MultiplicativeLearner

NEW_SHARE = 0.25
"""Part of a single `density` that goes to new weights once there are frozen ones to reuse."""

DEFAULT_DENSITY = 0.04


@dataclass(frozen=True)
class IBM(Method):
    """Information Bottleneck Masked sub-network (Chen, Song, Gao, Shen, arXiv 2312.00840).

    Keeps a weight only where the information it carries about the task is worth its price: a Gaussian
    gate N(theta, sigma^2) on each weight costs KL = 1/2 log(1 + theta^2/sigma^2) nats (the paper's penalty), and a
    weight whose gate is more noise than signal, alpha = sigma^2/theta^2 > 1, is dropped.

    Say a budget or a price, not both; nothing said means `density=0.04`.

    Args:
        density: fraction of the shared weights that a task may use. The first task claims all of it; a
            later one claims a quarter of it as new weights and reuses frozen weights for the rest (for
            all of it as far as there are frozen weights, the remainder being claimed).
        new, reuse: the two budgets said apart, as fractions of the shared weights. The first task, with
            nothing to reuse, gets the larger of the two as new weights.
        beta: price of information: minimised is (expected loss) + (beta / N) * (sum of KL in nats) over N
            training examples. Density follows.
        beta_new, beta_reuse: the price said apart for free and for frozen weights; default `beta`.
        estimator: "laplace" has sigma^2 in closed form from the diagonal Fisher information (ours; no noise,
            no parameters); "variational" learns log sigma^2 with sampled noise, as the paper does.
        gates: of the variational estimator: "multiplicative" z = w (mu + sigma eps) as in the paper, or
            "additive" z = w + sigma eps.
        ratio: layer prices from decomposing the hidden representations: "none"; "features": price times
            (effective rank / channels), as the published code does, so that layers of high rank are pruned
            harder; "inverse": price divided by it, so that layers of low rank are.
        ratio_every: epochs between two measurements of the ratio.
        free_scale: a new task starts from the frozen weights and from free ones scaled by this (fraction
            of their initial value; the first task's are not scaled).
        prune_from, prune_until: fractions of training between which the sub-network shrinks, on a cubic curve.
        prune_every: optimizer steps between two choices.
        decay: of the moving average that is the Fisher information (laplace).
        gate_lr: learning rate of the gates (variational).
        log_alpha: initial log alpha of the gates (variational).
        log_alpha_range: log alpha is clipped to it (variational).
        kl_warmup: fraction of training over which the KL term grows linearly to its weight (variational).

    Raises:
        ConfigError: an option out of range, or a budget together with a price.

    Differences from the paper, each measured in docs/benchmarks.md or docs/method.md: closed-form variances by default;
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

    density: float | None = None
    new: float | None = None
    reuse: float | None = None
    beta: float | None = None
    beta_new: float | None = None
    beta_reuse: float | None = None
    estimator: Literal["laplace", "variational"] = "laplace"
    gates: Literal["multiplicative", "additive"] = "multiplicative"
    ratio: Literal["none", "features", "inverse"] = "none"
    ratio_every: int = 1
    free_scale: float = 0.3
    prune_from: float = 0.05
    prune_until: float = 0.6
    prune_every: int = 10
    decay: float = 0.95
    gate_lr: float = 0.03
    log_alpha: float = -4.0
    log_alpha_range: tuple[float, float] = (-10.0, 4.0)
    kl_warmup: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_alpha_range", tuple(self.log_alpha_range))
        self._check_choices()
        self._check_ranges()
        if self.uses_price and (self.density, self.new, self.reuse) != (None, None, None):
            raise ConfigError("ibm: say a budget (density, or new and reuse) or a price (beta), not both.")
        if self.density is not None and (self.new, self.reuse) != (None, None):
            raise ConfigError("ibm: say density, or new and reuse apart, not both.")
        if (self.new is None) != (self.reuse is None):
            raise ConfigError("ibm: new and reuse are two budgets: say both.")
        if self.uses_price and self.beta is None and None in (self.beta_new, self.beta_reuse):
            raise ConfigError("ibm: say beta, or both beta_new and beta_reuse.")

    @property
    def uses_price(self) -> bool:
        """Whether the density follows from a price."""
        return any(price is not None for price in (self.beta, self.beta_new, self.beta_reuse))

    def prices(self) -> tuple[float, float]:
        """(beta of new weights, beta of reused ones); 1.0 where only a budget is said."""
        common = 1.0 if self.beta is None else self.beta
        new = common if self.beta_new is None else self.beta_new
        return new, common if self.beta_reuse is None else self.beta_reuse

    def budget(self, total: int, frozen: int) -> Budget:
        """Weights a task may use, given how many there are and how many are frozen.

        Raises:
            CapacityError: more new weights are needed than are free.
        """
        if self.new is None or self.reuse is None:
            density = DEFAULT_DENSITY if self.density is None else self.density
            whole = int(density * total)
            reuse = min(whole - int(NEW_SHARE * density * total), frozen)
            new = whole - reuse
        else:
            reuse = min(int(self.reuse * total), frozen)
            new = int((self.new if frozen else max(self.new, self.reuse)) * total)
        free = total - frozen
        if new > free:
            raise CapacityError(
                f"The budget asks for {new:,} new weights ({new / total:.2%} of {total:,}) and {free:,} "
                f"({free / total:.2%}) are free. Use a smaller budget (new=0 reuses "
                "only), or a larger network."
            )
        return Budget(new=new, reuse=reuse)

    def check(self, shared: SharedWeights) -> None:
        if self.uses_price:
            return  # the price decides how many weights; none free leaves reused ones
        try:
            self.budget(shared.total(), shared.frozen_count())
        except CapacityError as error:
            layers = ", ".join(f"{name} {free:,}" for name, free in shared.free_by_layer().items())
            raise CapacityError(f"{error} Free by layer: {layers}.") from None

    def initialise(self, shared: SharedWeights, carry: Mapping[str, Tensor] | None) -> None:
        super().initialise(shared, carry)
        if self.free_scale == 1 or shared.frozen_count() == 0:
            return
        with torch.no_grad():
            for param, frozen in zip(shared.params, shared.frozen, strict=True):
                param.copy_(torch.where(frozen, param, param * self.free_scale))

    def learner(self, shared: SharedWeights, plan: Plan, carry: Mapping[str, Tensor] | None) -> Learner:
        del carry
        if self.estimator == "laplace":
            return LaplaceLearner(shared, self, plan)
        kind = MultiplicativeLearner if self.gates == "multiplicative" else AdditiveLearner
        return kind(shared, self, plan)

    def target(self, shared: SharedWeights, price: Price) -> Budget | Price:
        """What the sub-network shrinks to: this configuration's budget, or the given price."""
        return price if self.uses_price else self.budget(shared.total(), shared.frozen_count())

    def _check_choices(self) -> None:
        choices = {
            "estimator": ("laplace", "variational"),
            "gates": ("multiplicative", "additive"),
            "ratio": ("none", "features", "inverse"),
        }
        for option, allowed in choices.items():
            if getattr(self, option) not in allowed:
                raise ConfigError(f"ibm: {option} is one of {', '.join(allowed)}; got {getattr(self, option)!r}.")

    def _check_ranges(self) -> None:
        for option in ("density", "new", "reuse"):
            value = getattr(self, option)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"ibm: {option} is a fraction of the shared weights, 0 to 1; got {value}.")
        if self.density == 0:
            raise ConfigError("ibm: a density of 0 leaves no network; say a fraction above 0.")
        for option in ("beta", "beta_new", "beta_reuse"):
            value = getattr(self, option)
            if value is not None and not value > 0:
                raise ConfigError(f"ibm: {option} is a price above 0; got {value}.")
        if not 0 <= self.prune_from < self.prune_until <= 1:
            raise ConfigError("ibm: prune_from and prune_until are fractions of training, 0 <= from < until <= 1.")
        if not 0 <= self.decay < 1:
            raise ConfigError(f"ibm: decay is in [0, 1); got {self.decay}.")
        if self.prune_every < 1 or self.ratio_every < 1:
            raise ConfigError("ibm: prune_every (steps) and ratio_every (epochs) are at least 1.")
        if len(self.log_alpha_range) != 2 or self.log_alpha_range[0] >= self.log_alpha_range[1]:
            raise ConfigError("ibm: log_alpha_range is two numbers, the lower one first.")
