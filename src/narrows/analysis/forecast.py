"""How many more tasks fit, how the network will fill up, which layer is full first, and how far that can be trusted.

Rests on `Capacity` (the masks) and on the budget in `method` of the latest task; the model is in `claims.py`. A task
*fits* while the weights that are free suffice for what such a task claims, and for what its method insists on.
A method that refines keeps values at weights that are taken, so that it is never refused; what ends then is only the
room for new weights. Tasks of isolation "own" and "none" take nothing of the shared network and are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from narrows.analysis.capacity import Capacity, Growth
from narrows.analysis.claims import FEW_NOISE, Numbers, Past, simulate
from narrows.errors import CapacityError, NarrowsError
from narrows.methods import Method, make_method
from narrows.methods.options import BudgetOptions

LEVEL: Final = 0.8
"""Part of the simulated futures that an interval holds: from the 10th to the 90th percentile."""

FAN: Final = 20
HORIZON: Final = 300
FUTURES: Final = 400


@dataclass(frozen=True)
class Interval:
    """The middle of the futures, and what 80% of them lie within; None: beyond what was looked ahead."""

    low: float | None
    median: float | None
    high: float | None


@dataclass(frozen=True)
class LayerLimit:
    """How many tasks fit into a layer before one finds less room than it wants there."""

    layer: str
    tasks: Interval


@dataclass(frozen=True)
class Forecast:
    """The tasks to come. Source: tasks/*/mask.bin, `method` of the latest task.json.

    Attributes:
        level: part of the futures within an interval.
        rests_on: past tasks whose claims it resamples: those of the latest method and options, without the store's
            first, which has nothing to reuse, where there are others.
        weak: whether these are fewer than three, so that no spread could be measured and one was assumed.
        refines: whether the method goes on when nothing is free.
        budget: values that the method's budget lets the next task claim, a count; None where it has none.
        refused: whether the method would refuse the next task today.
        fits: how many more tasks fit; None: more than `horizon`.
        horizon: tasks looked ahead.
        layers: the same for each layer, the first to be full first.
        used: kept values of tasks that share / shared weights after 1, 2, ... more tasks; fractions.
        taken: weights not free / shared weights, likewise.
    """

    level: float
    rests_on: int
    weak: bool
    refines: bool
    budget: int | None
    refused: bool
    fits: Interval
    horizon: int
    layers: tuple[LayerLimit, ...]
    used: tuple[Interval, ...]
    taken: tuple[Interval, ...]

    @property
    def next_limit(self) -> LayerLimit | None:
        """The layer that is full first, in the median; None where none is within the horizon."""
        first = self.layers[0] if self.layers else None
        return first if first and first.tasks.median is not None else None


def forecast(capacity: Capacity, *, seed: int = 0) -> Forecast | None:
    """What comes next; None where no task shares weights yet, or there are none to share. The same for the same seed.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.capacity import capacity
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> forecast(capacity(open_subject(path).reader)) is None
    True
    """
    steps = sharing(capacity.growth)
    if not steps or not capacity.total.weights:
        return None
    weights = np.array([layer.weights for layer in capacity.layers], np.float64)
    known, method = past(steps, weights)
    futures = simulate(known, HORIZON, FUTURES, seed)
    total, kept = weights.sum(), sum(step.claimed for step in steps)
    taken = total - known.free.sum()
    limits = [
        LayerLimit(layer.name, _count(futures.full[:, at])) for at, layer in enumerate(capacity.layers) if layer.weights
    ]
    return Forecast(
        level=LEVEL,
        rests_on=len(known.claims),
        weak=len(known.claims) <= len(FEW_NOISE),
        refines=isinstance(method, BudgetOptions) and method.refines,
        budget=None if known.cap is None else int(known.cap),
        refused=bool(known.needs > known.free.sum()),
        fits=_count(futures.fits),
        horizon=HORIZON,
        layers=tuple(sorted(limits, key=_soonest)),
        used=tuple(_interval((kept + futures.kept[:, at]) / total) for at in range(FAN)),
        taken=tuple(_interval((taken + futures.taken[:, at]) / total) for at in range(FAN)),
    )


def sharing(growth: Sequence[Growth]) -> list[Growth]:
    """The tasks that divide the shared network among them."""
    return [step for step in growth if step.isolation == "shared"]


def past(steps: Sequence[Growth], weights: Numbers) -> tuple[Past, Method | None]:
    """What the tasks say, and the method of the last; the tasks are those of this method and its options."""
    alike = len(steps) - 1
    while alike and steps[alike - 1].method == steps[-1].method:
        alike -= 1
    alike_steps = steps[1 if alike == 0 and len(steps) > 1 else alike :]
    claims = np.array([step.fresh for step in alike_steps], np.float64)
    again = np.array([step.claimed - sum(step.fresh) for step in alike_steps], np.float64)
    free = weights - np.array([step.fresh for step in steps], np.float64).sum(0)
    method = _method(steps[-1].method)
    cap, needs = _budget(method, int(weights.sum()), int((weights - free).sum()))
    return Past(claims, again, free, cap, needs), method


def _method(named: Mapping[str, Any]) -> Method | None:
    """The method with its options; None for one that is not known here, or has other options by now."""
    try:
        return make_method(str(named.get("name")), named.get("config") or {})
    except (NarrowsError, TypeError, AttributeError):
        return None


def _budget(method: Method | None, total: int, frozen: int) -> tuple[float | None, float]:
    """(most values that the next task claims, free weights its method insists on); see methods/options.py."""
    if not isinstance(method, BudgetOptions) or getattr(method, "uses_price", False):
        return None, 0.0
    try:
        new = method.budget(total, frozen).new
    except CapacityError:
        return None, float(total - frozen + 1)
    return float(new), 0.0 if method.refines else float(new)


def quantiles(values: Numbers) -> tuple[float, float, float]:
    """The lower end of the interval, the median, the upper end."""
    edge = (1 - LEVEL) / 2
    low, median, high = np.quantile(values, [edge, 0.5, 1 - edge]).tolist()
    return low, median, high


def _interval(values: Numbers) -> Interval:
    return Interval(*quantiles(values))


def _count(tasks: Numbers) -> Interval:
    """Numbers of tasks, whole ones; None where the horizon was reached."""
    edge = (1 - LEVEL) / 2
    found = np.quantile(tasks, [edge, 0.5, 1 - edge], method="lower").tolist()
    return Interval(*(None if count >= HORIZON else count for count in found))


def _soonest(limit: LayerLimit) -> tuple[float, float]:
    tasks = limit.tasks
    return (HORIZON if tasks.median is None else tasks.median, HORIZON if tasks.low is None else tasks.low)
