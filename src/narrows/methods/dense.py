"""Methods without masks: finetune, independent and joint, the lines that the others are held against.

*Finetune* is the field's bottom line: it shows what is forgotten where nothing protects it. Every task keeps its own
private parameters and head; the shared weights are those of the last task, for all tasks.

*Independent* shares nothing, so nothing is forgotten and nothing is saved: the line that a continual learner's
accuracy is held against, at the price of a whole network a task.

*Joint* needs every task's data at the same time, which a learner of this contract never sees: a benchmark
run trains the network itself (`narrows.benchmarks.together`) and then puts each task into the store.
Through `TaskStore.begin` alone, one task at a time, it holds nothing back and is `finetune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from narrows.methods.base import Extent, Isolation, Learner, Method, SharedWeights, State


class DenseLearner(Learner):
    """Uses every weight and holds nothing back: the learner of methods without masks."""

    @property
    def masks(self) -> list[Tensor]:
        return [torch.ones_like(param, dtype=torch.bool) for param in self.shared.params]

    def before_step(self) -> None:
        return None

    def after_step(self) -> None:
        return None

    def finish(self) -> None:
        return None

    @property
    def settled(self) -> bool:
        return True

    def state(self) -> State:
        return {}

    def load_state(self, state: State) -> None:
        del state


class DenseMethod(Method):
    """A method that trains the network as it is."""

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return DenseLearner(shared)


@dataclass(frozen=True)
class Finetune(DenseMethod):
    """No isolation at all.

    >>> Finetune().isolation
    'none'
    """

    name: ClassVar[str] = "finetune"
    summary: ClassVar[str] = "one network trained on each task in turn, nothing protected (shows forgetting)"
    isolation: ClassVar[Isolation] = "none"


@dataclass(frozen=True)
class Independent(DenseMethod):
    """A network of its own for each task.

    >>> Independent().isolation
    'own'
    """

    name: ClassVar[str] = "independent"
    summary: ClassVar[str] = "one dense network per task (the accuracy to reach, at a network's price each)"
    isolation: ClassVar[Isolation] = "own"


@dataclass(frozen=True)
class Joint(DenseMethod):
    """All tasks at once.

    >>> Joint().together
    True
    """

    name: ClassVar[str] = "joint"
    summary: ClassVar[str] = "one network trained on all tasks at once, with all data at hand (the top line)"
    isolation: ClassVar[Isolation] = "none"
    together: ClassVar[bool] = True
