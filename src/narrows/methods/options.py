"""Options that several methods have, and the checks they share.

What a method adds is in its own file. The options stand apart in small bases because a dataclass lists the
fields of its bases first, the last base's before all others.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass

from narrows.errors import CapacityError, ConfigError
from narrows.methods.base import Extent, Method, SharedWeights
from narrows.methods.pace import Pace
from narrows.methods.schedule import Budget
from narrows.methods.warm_start import WarmStart

NEW_SHARE = 0.25
"""Part of a single `density` that goes to new weights once there are frozen ones to reuse."""

DEFAULT_DENSITY = 0.04

NOMINAL = 10**9
"""Weights of a network that is not known yet: so many that rounding to whole ones makes no difference."""


def check_choices(method: Method) -> None:
    """Raises ConfigError where an option is none of those its `Literal` type lists."""
    for option, hint in typing.get_type_hints(type(method)).items():
        allowed, value = typing.get_args(hint), getattr(method, option)
        if typing.get_origin(hint) is typing.Literal and value not in allowed:
            raise ConfigError(f"{method.name}: {option} is one of {', '.join(allowed)}; got {value!r}.")


def check_range(method: Method, option: str, low: float, high: float) -> None:
    """Raises ConfigError where a number is not within [low, high]."""
    value = getattr(method, option)
    if not low <= value <= high:
        raise ConfigError(f"{method.name}: {option} is from {low} to {high}; got {value}.")


def check_fraction(method: Method, option: str, of: str) -> None:
    """Raises ConfigError where a fraction of something is none, or nothing of it."""
    value = getattr(method, option)
    if not 0 < value <= 1:
        raise ConfigError(f"{method.name}: {option} is a fraction of {of}, in (0, 1]; got {value}.")


def check_decay(method: Method, decay: float) -> None:
    """Raises ConfigError where a moving average could not move."""
    if not 0 <= decay < 1:
        raise ConfigError(f"{method.name}: decay is in [0, 1); got {decay}.")


def check_curve(method: Method, start: float, stop: float) -> None:
    """Raises ConfigError unless pruning starts before it stops, both within training."""
    if not 0 <= start < stop <= 1:
        raise ConfigError(
            f"{method.name}: prune_from and prune_until are fractions of training, 0 <= from < until <= 1."
        )


@dataclass(frozen=True)
class BudgetOptions(Method):
    """How many weights a task may use, over all layers together."""

    density: float | None = None
    new: float | None = None
    reuse: float | None = None
    refine: bool = False

    @property
    def refines(self) -> bool:
        """Whether frozen weights may get values of the task's own, so that it never runs out of room."""
        return self.refine

    @property
    def has_budget(self) -> bool:
        """Whether a budget was said."""
        return any(budget is not None for budget in (self.density, self.new, self.reuse))

    def budget(self, total: int, frozen: int) -> Budget:
        """Weights a task may use, given how many there are and how many are frozen.

        Raises:
            CapacityError: more new weights are needed than are free.
        """
        budget = self._counts(total, frozen)
        free = total if self.refines else total - frozen
        if budget.new > free:
            raise CapacityError(
                f"The budget asks for {budget.new:,} new weights ({budget.new / total:.2%} of {total:,}) and {free:,} "
                f"({free / total:.2%}) are free. Use a smaller budget (new=0 reuses "
                "only), or a larger network."
            )
        if total and not budget.new + budget.reuse:
            raise CapacityError(
                f"The budget leaves no weight of {total:,} ({frozen:,} of them frozen): nothing could be learned. "
                "Raise density, or new and reuse."
            )
        return budget

    def check(self, shared: SharedWeights) -> None:
        try:
            self.budget(shared.total(), shared.frozen_count())
        except CapacityError as error:
            layers = ", ".join(f"{name} {free:,}" for name, free in shared.free_by_layer().items())
            raise CapacityError(f"{error} Free by layer: {layers}.") from None

    def check_tasks(self, tasks: int, sizes: Sequence[int] | None = None) -> None:
        total = NOMINAL if sizes is None else sum(sizes)
        first = self.budget(total, 0).new
        later = self._counts(total, first).new
        fit = 1 + (total - first) // later if later else tasks
        if tasks <= fit or self.refines:
            return
        raise CapacityError(
            f"{self.name}: {tasks} tasks do not fit, {fit} do: the first claims {first / total:.2%} of the shared "
            f"weights, each later one {later / total:.2%}. {self._remedy(tasks, first / total)}"
        )

    def _remedy(self, tasks: int, first: float) -> str:
        """The largest option with which so many tasks fit, rounded down to a hundredth of a percent."""
        if self.new is None:
            density = 1 / (1 + NEW_SHARE * (tasks - 1))
            return f"Lower density to {int(density * 10_000) / 10_000} or less, or say new and reuse apart."
        return f"Lower new to {int((1 - first) / (tasks - 1) * 10_000) / 10_000} or less (0 reuses only)."

    def _counts(self, total: int, frozen: int) -> Budget:
        """The budget, whether or not so much is free."""
        if self.new is None or self.reuse is None:
            density = DEFAULT_DENSITY if self.density is None else self.density
            whole = int(density * total)
            reuse = min(whole - int(NEW_SHARE * density * total), frozen)
            new = whole - reuse
        else:
            reuse = min(int(self.reuse * total), frozen)
            new = int((self.new if frozen else max(self.new, self.reuse)) * total)
        return Budget(new=new, reuse=reuse)

    def check_budget(self) -> None:
        """Raises ConfigError where the budget is out of range, or said twice or by half."""
        for option in ("density", "new", "reuse"):
            value = getattr(self, option)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{self.name}: {option} is a fraction of the shared weights, 0 to 1; got {value}.")
        if self.density == 0:
            raise ConfigError(f"{self.name}: a density of 0 leaves no network; say a fraction above 0.")
        if self.density is not None and (self.new, self.reuse) != (None, None):
            raise ConfigError(f"{self.name}: say density, or new and reuse apart, not both.")
        if (self.new is None) != (self.reuse is None):
            raise ConfigError(f"{self.name}: new and reuse are two budgets: say both.")


@dataclass(frozen=True)
class ScheduleOptions(WarmStart):
    """Where free weights start, when weights leave, and the memory of what is averaged meanwhile."""

    free_scale: float = 0.3
    prune_from: float = 0.05
    prune_until: float = 0.6
    prune_every: int | None = None
    decay: float = 0.95

    def pace(self, plan: Extent) -> Pace:
        """When weights leave."""
        return Pace(plan.require_steps(self.name), self.prune_from, self.prune_until, self.prune_every)

    def check_schedule(self) -> None:
        """Raises ConfigError where an option is out of range."""
        check_curve(self, self.prune_from, self.prune_until)
        check_decay(self, self.decay)
        if self.prune_every is not None and self.prune_every < 1:
            raise ConfigError(f"{self.name}: prune_every (steps) is at least 1.")
        check_range(self, "free_scale", 0, 10)
