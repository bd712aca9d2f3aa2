"""At which steps of a training weights leave: gradually on the cubic curve, or all at one step.

Knows steps only: no weights, no scores.
"""

from __future__ import annotations

from narrows.methods.schedule import Curve


class Pace:
    """Gradually, between two fractions of the training, every few steps.

    Args:
        total: steps of the training.
        start, stop: fractions of it.
        every: steps between two choices; None leaves it to the curve.

    >>> pace = Pace(100, 0.1, 0.6)
    >>> [step for step in range(100) if pace.due(step)][:3], pace.span
    ([12, 14, 16], (10, 60))
    """

    def __init__(self, total: int, start: float, stop: float, every: int | None = None) -> None:
        self.total, self._start, self._stop, self._every = total, start, stop, every
        self.put_off(0)
        self.latest = (self.curve.stop + total) // 2
        """The last step to which the choice can be put off: half of the steps that were to follow it are left."""

    def put_off(self, step: int) -> None:
        """The curve is laid over the training that is left after `step`."""
        self.follow(Curve.over(self.total, self._start, self._stop, step))

    def follow(self, curve: Curve) -> None:
        """From now on on this curve."""
        self.curve = curve
        self._interval = self._every or curve.interval()

    @property
    def span(self) -> tuple[int, int]:
        """The steps between which weights leave."""
        return self.curve.start, self.curve.stop

    def asks(self, step: int) -> bool:
        """Whether at this step the choice is to be made, or put off where it has to wait."""
        return step > self.curve.start

    def due(self, step: int) -> bool:
        """Whether it is to be made, having nothing to wait for."""
        return self.asks(step) and (step >= self.curve.stop or step % self._interval == 0)


class Once(Pace):
    """All at one step, a fraction of the training being over.

    >>> pace = Once(10, 0.5)
    >>> [step for step in range(6) if pace.due(step)], pace.span
    ([5], (5, 5))
    """

    def __init__(self, total: int, at: float) -> None:
        super().__init__(total, at, at)
        self._first = self.curve.stop

    @property
    def span(self) -> tuple[int, int]:
        return self.curve.stop, self.curve.stop

    def asks(self, step: int) -> bool:
        return step >= self._first

    def due(self, step: int) -> bool:
        return step >= self.curve.stop
