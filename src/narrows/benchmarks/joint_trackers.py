"""Telling trackers of tasks that are trained all at once, which no task's record follows: losses and learning rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from narrows.methods import Method
from narrows.training import Callback, Point, Recorder, Schedule, Step, Trackers

ALL = "all tasks"
"""What such a training is called."""


@contextmanager
def following(
    trackers: Trackers, method: Method, schedule: Schedule, training: AbstractContextManager[Callback | None]
) -> Iterator[Callback | None]:
    """Entered while all tasks are trained; gives a callback that tells the trackers, and calls that of `training`."""
    recorder = Recorder(schedule)  # says when
    about = {"method": {"name": method.name, "config": method.config()}, "schedule": schedule, "resumed": 0}
    with training as inner:

        def callback(step: Step) -> None:
            if recorder.step():
                trackers.log(Point(step.step, step.epoch, step.loss, step.lr))
            if inner is not None:
                inner(step)

        trackers.begin(ALL, about)
        try:
            yield callback
        except BaseException:
            trackers.end(None)
            raise
        trackers.end({"steps": recorder.steps})
