"""Independent: one dense network for each task, all from the same start.

Nothing is shared, so nothing is forgotten and nothing is saved: the line that a continual learner's
accuracy is held against, at the price of a whole network a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from narrows.methods.base import Extent, Isolation, Learner, Method, SharedWeights
from narrows.methods.dense import DenseLearner


@dataclass(frozen=True)
class Independent(Method):
    """A network of its own for each task.

    >>> Independent().isolation
    'own'
    """

    name: ClassVar[str] = "independent"
    summary: ClassVar[str] = "one dense network per task (the accuracy to reach, at a network's price each)"
    isolation: ClassVar[Isolation] = "own"

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return DenseLearner(shared)
