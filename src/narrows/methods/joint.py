"""Joint: one network trained on all tasks at once, the line that learning them one by one is held against.

It needs every task's data at the same time, which a learner of this contract never sees: a benchmark
run trains the network itself (`narrows.benchmarks.together`) and then puts each task into the store.
Through `TaskStore.begin` alone, one task at a time, it holds nothing back and is `finetune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from narrows.methods.base import Extent, Isolation, Learner, Method, SharedWeights
from narrows.methods.dense import DenseLearner


@dataclass(frozen=True)
class Joint(Method):
    """All tasks at once.

    >>> Joint().together
    True
    """

    name: ClassVar[str] = "joint"
    summary: ClassVar[str] = "one network trained on all tasks at once, with all data at hand (the top line)"
    isolation: ClassVar[Isolation] = "none"
    together: ClassVar[bool] = True

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return DenseLearner(shared)
