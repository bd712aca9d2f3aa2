"""The options of IBM, checked and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from narrows.errors import ConfigError
from narrows.methods.base import Method, SharedWeights
from narrows.methods.options import BudgetOptions, ScheduleOptions, check_choices, check_range
from narrows.methods.schedule import Budget, Price

BUDGET_BETA = 0.01
"""Price that shapes the variational gates where a budget decides how many weights stay."""


@dataclass(frozen=True)
class PriceOptions(Method):
    """What information costs, how it is estimated, and what multiplies its price in a layer."""

    beta: float | None = None
    beta_new: float | None = None
    beta_reuse: float | None = None
    estimator: Literal["laplace", "variational"] = "laplace"
    gates: Literal["multiplicative", "additive"] = "multiplicative"
    ratio: Literal["none", "features", "inverse"] = "none"
    ratio_every: int = 1

    @property
    def has_price(self) -> bool:
        """Whether a price was said."""
        return any(price is not None for price in (self.beta, self.beta_new, self.beta_reuse))

    def prices(self) -> tuple[float, float]:
        """(beta of new weights, beta of reused ones); `BUDGET_BETA` where only a budget is said."""
        common = BUDGET_BETA if self.beta is None else self.beta
        new = common if self.beta_new is None else self.beta_new
        return new, common if self.beta_reuse is None else self.beta_reuse

    def check_price(self) -> None:
        """Raises ConfigError where a price is out of range or said by half."""
        for option in ("beta", "beta_new", "beta_reuse"):
            value = getattr(self, option)
            if value is not None and not value > 0:
                raise ConfigError(f"{self.name}: {option} is a price above 0; got {value}.")
        if self.has_price and self.beta is None and None in (self.beta_new, self.beta_reuse):
            raise ConfigError(f"{self.name}: say beta, or both beta_new and beta_reuse.")
        if self.ratio_every < 1:
            raise ConfigError(f"{self.name}: ratio_every (epochs) is at least 1.")


@dataclass(frozen=True)
class IBMConfig(ScheduleOptions, PriceOptions, BudgetOptions):
    """The options of `IBM`, which explains them; those of the last base come first."""

    refine: bool = True
    gate_lr: float = 0.03
    log_alpha: float = -4.0
    log_alpha_range: tuple[float, float] = (-10.0, 4.0)
    kl_warmup: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_alpha_range", tuple(self.log_alpha_range))
        check_choices(self)
        if self.estimator == "laplace" and self.has_price and self.has_budget:
            raise ConfigError("ibm: say a budget (density, or new and reuse) or a price (beta), not both.")
        self.check_budget()
        self.check_price()
        self.check_schedule()
        check_range(self, "kl_warmup", 0, 1)
        check_range(self, "gate_lr", 0, 10)
        if len(self.log_alpha_range) != 2 or self.log_alpha_range[0] >= self.log_alpha_range[1]:
            raise ConfigError("ibm: log_alpha_range is two numbers, the lower one first.")

    @property
    def refines(self) -> bool:
        """Only the closed form measures a weight from its frozen value; sampled gates measure it from 0."""
        return self.refine and self.estimator == "laplace"

    @property
    def uses_price(self) -> bool:
        """Whether the density follows from a price."""
        return self.has_price and not self.has_budget

    def target(self, shared: SharedWeights, price: Price) -> Budget | Price:
        """What the sub-network shrinks to: this configuration's budget, or the given price."""
        return price if self.uses_price else self.budget(shared.total(), shared.frozen_count())

    def check(self, shared: SharedWeights) -> None:
        if not self.uses_price:  # a price decides how many weights; none free leaves reused ones
            super().check(shared)

    def check_tasks(self, tasks: int, sizes: Sequence[int] | None = None) -> None:
        if not self.uses_price:
            super().check_tasks(tasks, sizes)
