"""Options that several methods have, and the checks they share.

What a method adds is in its own file. The options stand apart in small bases because a dataclass lists the
fields of its bases first, the last base's before all others.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass

from narrows.errors import CapacityError, ConfigError
from narrows.methods.base import Method, SharedWeights
from narrows.methods.schedule import Budget

NEW_SHARE = 0.25
"""Part of a single `density` that goes to new weights once there are frozen ones to reuse."""

DEFAULT_DENSITY = 0.04


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

    @property
    def has_budget(self) -> bool:
        """Whether a budget was said."""
        return any(budget is not None for budget in (self.density, self.new, self.reuse))

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

    def check(self, shared: SharedWeights) -> None:
        try:
            self.budget(shared.total(), shared.frozen_count())
        except CapacityError as error:
            layers = ", ".join(f"{name} {free:,}" for name, free in shared.free_by_layer().items())
            raise CapacityError(f"{error} Free by layer: {layers}.") from None

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
class ScheduleOptions(Method):
    """Where free weights start, when weights leave, and the memory of what is averaged meanwhile."""

    free_scale: float = 0.3
    prune_from: float = 0.05
    prune_until: float = 0.6
    prune_every: int | None = None
    decay: float = 0.95

    def check_schedule(self) -> None:
        """Raises ConfigError where an option is out of range."""
        check_curve(self, self.prune_from, self.prune_until)
        check_decay(self, self.decay)
        if self.prune_every is not None and self.prune_every < 1:
            raise ConfigError(f"{self.name}: prune_every (steps) is at least 1.")
        check_range(self, "free_scale", 0, 10)
