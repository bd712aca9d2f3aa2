"""Who is told how training goes while it goes on. Knows no tracker; `narrows.trackers` has some.

A tracker's failure is none of training's: it is said once, and the tracker is told no more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from narrows.training.history import Point


class Tracker(Protocol):
    """Is told of tasks as they are trained, one after another: `begin`, then `log` and `score`, then `end`."""

    def begin(self, task: str, about: Mapping[str, Any], /) -> None:
        """A task begins, or goes on.

        Args:
            about: plain values: "method" with its "name" and "config", "schedule" (`narrows.training.Schedule`), and
                "resumed": steps that were taken before an interruption, 0 where it begins.
        """

    def log(self, point: Point, /) -> None:
        """The next of the points that the task's history keeps; at most 64 in a training of a known length."""

    def score(self, epoch: int, value: float, /) -> None:
        """What the validation data gave after an epoch, from 0; the higher, the better."""

    def end(self, figures: Mapping[str, float] | None, /) -> None:
        """The task was committed, with these figures; None: it was interrupted, or failed."""


def as_one(trackers: Iterable[Tracker] | Trackers) -> Trackers:
    """Several trackers as one."""
    return trackers if isinstance(trackers, Trackers) else Trackers(trackers)


class Trackers:
    """Several as one, for as many tasks as there are. A tracker that raises is dropped with one warning, and is told
    nothing of later tasks either; KeyboardInterrupt passes.

    >>> told = Trackers([])
    >>> told.begin("first", {})
    """

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        self._trackers = list(trackers)
        self._begun = False

    def begin(self, task: str, about: Mapping[str, Any]) -> None:
        """See `Tracker.begin`."""
        self._begun = True
        self._tell(lambda tracker: tracker.begin(task, about))

    def log(self, point: Point) -> None:
        """See `Tracker.log`."""
        self._tell(lambda tracker: tracker.log(point))

    def score(self, epoch: int, value: float) -> None:
        """See `Tracker.score`."""
        self._tell(lambda tracker: tracker.score(epoch, value))

    def end(self, figures: Mapping[str, float] | None) -> None:
        """See `Tracker.end`; nothing is told where nothing was begun, or all is ended."""
        if self._begun:
            self._begun = False
            self._tell(lambda tracker: tracker.end(figures))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                call(tracker)
            except Exception as error:
                self._trackers.remove(tracker)
                warnings.warn(
                    f"{type(tracker).__name__} failed and is told no more; training goes on: {error}", stacklevel=4
                )
