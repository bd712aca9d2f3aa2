"""The options of IBM, checked and explained; what a single density or price is split into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from narrows.errors import CapacityError, ConfigError
from narrows.methods.base import SharedWeights
from narrows.methods.ibm.schedule import Budget, Price

NEW_SHARE = 0.25
"""Part of a single `density` that goes to new weights once there are frozen ones to reuse."""

DEFAULT_DENSITY = 0.04

BUDGET_BETA = 0.01
"""Price that shapes the variational gates where a budget decides how many weights stay."""


@dataclass(frozen=True)
class IBMConfig:
    """The options of `IBM`, which explains them."""

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
    prune_every: int | None = None
    decay: float = 0.95
    gate_lr: float = 0.03
    log_alpha: float = -4.0
    log_alpha_range: tuple[float, float] = (-10.0, 4.0)
    kl_warmup: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_alpha_range", tuple(self.log_alpha_range))
        self._check_choices()
        self._check_ranges()
        if self.estimator == "laplace" and self._has_price and self._has_budget:
            raise ConfigError("ibm: say a budget (density, or new and reuse) or a price (beta), not both.")
        if self.density is not None and (self.new, self.reuse) != (None, None):
            raise ConfigError("ibm: say density, or new and reuse apart, not both.")
        if (self.new is None) != (self.reuse is None):
            raise ConfigError("ibm: new and reuse are two budgets: say both.")
        if self._has_price and self.beta is None and None in (self.beta_new, self.beta_reuse):
            raise ConfigError("ibm: say beta, or both beta_new and beta_reuse.")

    @property
    def uses_price(self) -> bool:
        """Whether the density follows from a price."""
        return self._has_price and not self._has_budget

    @property
    def _has_price(self) -> bool:
        return any(price is not None for price in (self.beta, self.beta_new, self.beta_reuse))

    @property
    def _has_budget(self) -> bool:
        return any(budget is not None for budget in (self.density, self.new, self.reuse))

    def prices(self) -> tuple[float, float]:
        """(beta of new weights, beta of reused ones); `BUDGET_BETA` where only a budget is said."""
        common = BUDGET_BETA if self.beta is None else self.beta
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
        if total and not new + reuse:
            raise CapacityError(
                f"The budget leaves no weight of {total:,} ({frozen:,} of them frozen): nothing could be learned. "
                "Raise density, or new and reuse."
            )
        return Budget(new=new, reuse=reuse)

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
        if (self.prune_every is not None and self.prune_every < 1) or self.ratio_every < 1:
            raise ConfigError("ibm: prune_every (steps) and ratio_every (epochs) are at least 1.")
        for option, low, high in (("free_scale", 0, 10), ("kl_warmup", 0, 1), ("gate_lr", 0, 10)):
            if not low <= getattr(self, option) <= high:
                raise ConfigError(f"ibm: {option} is from {low} to {high}; got {getattr(self, option)}.")
        if len(self.log_alpha_range) != 2 or self.log_alpha_range[0] >= self.log_alpha_range[1]:
            raise ConfigError("ibm: log_alpha_range is two numbers, the lower one first.")
