"""What a learner tells of its sub-network, for the record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The size of a sub-network at one moment, as fractions of the shared weights.

    Attributes:
        new: weights with a value of the task's own.
        reused: weights of earlier tasks, taken as they are.
    """

    new: float
    reused: float

    @property
    def density(self) -> float:
        """All weights of the sub-network."""
        return self.new + self.reused
