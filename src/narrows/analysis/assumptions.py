"""What a plan must assume since no file says it: each with its unit, what it means, its default and its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from narrows.errors import ConfigError


@dataclass(frozen=True)
class Told:
    """How an assumption is told to a reader."""

    name: str
    unit: str
    what: str
    default: float | None
    low: float
    high: float
    whole: bool
    optional: bool


def _assume(
    default: float | None, unit: str, what: str, low: float = 0, high: float = 1e9, *, whole: bool = False
) -> Any:
    metadata = {"unit": unit, "what": what, "low": low, "high": high, "whole": whole, "optional": default is None}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Assumptions:
    """The assumptions of `plan`. Prices are in one currency of your own; a GB is 10^9 bytes, as clouds bill it.

    The prices by default are of the order of public clouds' list prices and no more; give your own.

    Raises:
        ConfigError: a number is out of its bounds, or not a number; names it.

    >>> Assumptions(tasks_per_month=3).months
    24
    >>> Assumptions(replicas=0)
    Traceback (most recent call last):
    ...
    narrows.errors.ConfigError: replicas (copies) is a whole number from 1 to 1e+06; got 0.
    """

    tasks_per_month: float = _assume(1.0, "tasks / month", "tasks that are added", 0, 10_000)
    months: int = _assume(24, "months", "how far the plan looks", 1, 240, whole=True)
    price_gpu_hour: float = _assume(2.5, "currency / hour", "the machine that trains")
    price_gb_month: float = _assume(0.1, "currency / GB / month", "storage on disk")
    price_memory_gb_month: float = _assume(4.0, "currency / GB / month", "memory of the machines that serve")
    copies: int = _assume(1, "copies", "of what is on disk, backups included", 1, 1e6, whole=True)
    replicas: int = _assume(1, "copies", "of what is in memory: machines that serve", 1, 1e6, whole=True)
    packed: int = _assume(
        0,
        "0 or 1",
        "1: one network in memory, tasks kept packed beside it and put together on demand",
        0,
        1,
        whole=True,
    )
    training_scale: float = _assume(
        1.0, "ratio", "training for each task over that measured: tuning runs, larger data", 0, 1e9
    )
    setup_hours: float = _assume(40.0, "hours", "work to introduce one shared network, once")
    upkeep_hours: float = _assume(0.0, "hours / network / month", "work on each network that is deployed by itself")
    price_engineer_hour: float = _assume(100.0, "currency / hour", "work")
    tasks_per_network: int | None = _assume(
        None, "tasks", "that fit in one shared network; by default as the forecast has it", 1, 1e9, whole=True
    )

    def __post_init__(self) -> None:
        for told in told_assumptions():
            value = getattr(self, told.name)
            if value is None and told.optional:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or (told.whole and value != int(value)) or not told.low <= value <= told.high:
                kind = "a whole number" if told.whole else "a number"
                raise ConfigError(
                    f"{told.name} ({told.unit}) is {kind} from {told.low:g} to {told.high:g}; got {value!r}."
                )


def told_assumptions() -> tuple[Told, ...]:
    """Each assumption with what a reader must know of it, in order."""
    return tuple(
        Told(name=one.name, default=one.default, **one.metadata)  # type: ignore[arg-type]
        for one in fields(Assumptions)
    )
