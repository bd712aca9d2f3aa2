"""The forecast made again at earlier moments, against what came: how far it can be trusted on this very store.

Works from `Capacity` (the masks), as the forecast does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from narrows.analysis.capacity import Capacity
from narrows.analysis.claims import FEW_NOISE, simulate
from narrows.analysis.forecast import FAN, LEVEL, past, quantiles, sharing

_FUTURES: Final = 200
_RETRIED: Final = 40  # moments that the forecast is made again for, the latest ones


@dataclass(frozen=True)
class Retried:
    """What the forecast would have said after `known` tasks of `ahead` tasks on, and what it was; fractions.

    `weak`: whether it rested on fewer than three tasks.
    """

    known: int
    ahead: int
    weak: bool
    low: float
    median: float
    high: float
    truth: float


@dataclass(frozen=True)
class HorizonError:
    """Of the forecasts so many tasks ahead (0: any): how many, mean |median - truth|, the part within the interval."""

    ahead: int
    count: int
    error: float
    within: float


@dataclass(frozen=True)
class BackTest:
    """The same forecast made at earlier moments. Neighbouring ones share most of their truth: not so many trials.

    Attributes:
        of: "used" or "taken": what was forecast.
        level: part that should lie within.
        forecasts: each.
        horizons: by tasks ahead.
        all: over all of them.
        settled: over those that are not weak; None where there are none.
    """

    of: str
    level: float
    forecasts: tuple[Retried, ...]
    horizons: tuple[HorizonError, ...]
    all: HorizonError
    settled: HorizonError | None


def back_test(capacity: Capacity, *, of: Literal["used", "taken"] = "used", seed: int = 0) -> BackTest | None:
    """The forecast made after each earlier task, against what came; None where fewer than two tasks share.

    At most the latest 40 moments, each up to 20 tasks ahead. A method that spends a fixed budget makes `used` exact;
    with one that refines, `taken` is what is uncertain.
    """
    steps = sharing(capacity.growth)
    if len(steps) < 2 or not capacity.total.weights:
        return None
    weights = np.array([layer.weights for layer in capacity.layers], np.float64)
    counts = [step.claimed if of == "used" else sum(step.fresh) for step in steps]
    sums, total, found = np.cumsum(counts), weights.sum(), []
    for known in range(max(1, len(steps) - _RETRIED), len(steps)):
        so_far, _ = past(steps[:known], weights)
        ahead = min(FAN, len(steps) - known)
        futures = simulate(so_far, ahead, _FUTURES, seed)
        weak, coming = len(so_far.claims) <= len(FEW_NOISE), futures.kept if of == "used" else futures.taken
        for at in range(ahead):
            low, median, high = quantiles((sums[known - 1] + coming[:, at]) / total)
            found.append(Retried(known, at + 1, weak, low, median, high, float(sums[known + at] / total)))
    horizons = tuple(_horizon(ahead, found) for ahead in sorted({retried.ahead for retried in found}))
    settled = [retried for retried in found if not retried.weak]
    return BackTest(of, LEVEL, tuple(found), horizons, _horizon(0, found), _horizon(0, settled) if settled else None)


def _horizon(ahead: int, found: Sequence[Retried]) -> HorizonError:
    """Of all, where `ahead` is 0."""
    there = [retried for retried in found if ahead in (0, retried.ahead)]
    slack = 1e-9  # rounding: an interval may be a single value
    within = [retried.low - slack <= retried.truth <= retried.high + slack for retried in there]
    errors = [abs(retried.median - retried.truth) for retried in there]
    return HorizonError(ahead, len(there), float(np.mean(errors)), float(np.mean(within)))
