"""Recording how training goes while it goes on: points at regular steps, thinned so that there are never many.

Deterministic, and exact after an interruption: what it holds is a tree. Knows no model and no learner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from narrows.training.history import QUANTILES, History, Point, Schedule, Score

POINTS: Final = 64
"""At most, and at least half as many in a training of that many steps."""
ALPHA_EVERY: Final = 4
"""Points from one with quantiles of log alpha to the next: at most 16 have them."""
SAMPLE: Final = 1 << 13
"""Weights that quantiles are taken of, at most: so many, spread over all, stand for more to half a percent."""
_GOLDEN: Final = (5**0.5 - 1) / 2


class Recorder:
    """A `History` in the making.

    Where the number of steps is known, points are as far apart from the start as they will be at the end.

    Attributes:
        schedule: what was said of the training.
        steps: optimizer steps seen.
        every: steps from one point to the next.
        best_epoch: whose network is kept, from 0.

    >>> recorder = Recorder(Schedule(total_steps=100))
    >>> for _ in range(100):
    ...     if recorder.step():
    ...         recorder.add(lr=0.1, new=1.0, reused=0.0, log_alpha=None)
    >>> history = recorder.history()
    >>> len(history.points), history.points[-1].step, recorder.every
    (50, 99, 2)
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.steps = 0
        self.every = 1
        while (schedule.total_steps or 0) > POINTS * self.every:
            self.every *= 2
        self.best_epoch: int | None = None
        self._points: list[Point] = []
        self._scores: list[Score] = []
        self._scores_every, self._epochs, self._before = 1, 0, 0

    def step(self) -> bool:
        """Counts an optimizer step; returns whether there is a point at it."""
        self.steps += 1
        return (self.steps - 1) % self.every == 0

    @property
    def wants_alpha(self) -> bool:
        """Whether the next point has quantiles of log alpha."""
        return len(self._points) % ALPHA_EVERY == 0

    def add(self, *, lr: float, new: float, reused: float, log_alpha: tuple[float, ...] | None) -> None:
        """The point of the step just counted."""
        epoch = self.schedule.epoch_of(self.steps)
        self._points.append(Point(self.steps, epoch, None, lr, new, reused, log_alpha))
        if len(self._points) > POINTS:
            self._points = [_thin(index, point) for index, point in enumerate(self._points[::2])]
            self.every *= 2

    def complete(self, loss: Callable[[], float]) -> Point | None:
        """Gives the point of the step just counted its loss, and returns it; None where there is none, or it has one.

        Args:
            loss: the mean loss since this was last called; called where there is a point.
        """
        if not self._points or self._points[-1].step != self.steps or self._points[-1].loss is not None:
            return None
        self._points[-1] = replace(self._points[-1], loss=loss())
        return self._points[-1]

    def score(self, value: float) -> int:
        """Takes in what validation data gave after an epoch; returns which epoch that was, from 0."""
        while self._epochs < self._before:  # earlier epochs that were not measured
            self._score(None)
        self._score(value if value - value == 0 else None)
        return self._epochs - 1

    def go_on(self, earlier: Recorder, epochs: int) -> None:
        """Takes up the recording of an earlier training, of so many epochs in all, which this one follows."""
        self.load_state(earlier.state())
        total = self.schedule.total_steps
        steps = None if total is None else self.steps + total
        self.schedule = replace(earlier.schedule, total_steps=steps, epochs=epochs)
        self._before = epochs

    def history(self) -> History:
        """What was recorded so far."""
        return History(self.schedule, self.steps, tuple(self._points), tuple(self._scores), self.best_epoch)

    def state(self) -> dict[str, Any]:
        """As a tree."""
        points = [asdict(point) | {"log_alpha": _listed(point.log_alpha)} for point in self._points]
        scores = [asdict(score) for score in self._scores]
        return {
            "steps": self.steps,
            "every": self.every,
            "points": points,
            "scores": scores,
            "scores_every": self._scores_every,
            "epochs": self._epochs,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `state()`."""
        self.steps, self.every = state["steps"], state["every"]
        self._points = [Point(**point | {"log_alpha": _tuple(point["log_alpha"])}) for point in state["points"]]
        self._scores = [Score(**score) for score in state["scores"]]
        self._scores_every, self._epochs = state["scores_every"], state["epochs"]

    def _score(self, value: float | None) -> None:
        if self._epochs % self._scores_every == 0:
            self._scores.append(Score(self._epochs, value))
        self._epochs += 1
        if len(self._scores) > POINTS:
            self._scores = self._scores[::2]
            self._scores_every *= 2


def quantiles(values: Tensor | None) -> tuple[float, ...] | None:
    """The `QUANTILES` of `values`, 1-D, by the nearest rank; None where there are none, or one is not finite.

    >>> quantiles(torch.arange(101.0))
    (5.0, 25.0, 50.0, 75.0, 95.0)
    """
    if values is None or not values.numel():
        return None
    ordered = _spread(values).sort().values
    places = [round(percent / 100 * (ordered.numel() - 1)) for percent in QUANTILES]
    found = ordered[places]
    return tuple(found.tolist()) if bool(torch.isfinite(found).all()) else None


def _spread(values: Tensor) -> Tensor:
    """At most `SAMPLE` of the values, by a Weyl sequence: even, and never in step with the rows of a layer."""
    if values.numel() <= SAMPLE:
        return values
    turns = np.arange(SAMPLE) * _GOLDEN  # in float64, which not every device has
    places = ((turns - np.floor(turns)) * values.numel()).astype(np.int64)
    return values[torch.from_numpy(places).to(values.device)]


def _thin(index: int, point: Point) -> Point:
    return point if index % ALPHA_EVERY == 0 else replace(point, log_alpha=None)


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def _tuple(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
