"""Finetune: train the one network on each task in turn, holding nothing back.

The field's bottom line: shows what is forgotten where nothing protects it. Every task keeps its own
private parameters and head; the shared weights are those of the last task, for all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from narrows.methods.base import Extent, Isolation, Learner, Method, SharedWeights
from narrows.methods.dense import DenseLearner


@dataclass(frozen=True)
class Finetune(Method):
    """No isolation at all.

    >>> Finetune().isolation
    'none'
    """

    name: ClassVar[str] = "finetune"
    summary: ClassVar[str] = "one network trained on each task in turn, nothing protected (shows forgetting)"
    isolation: ClassVar[Isolation] = "none"

    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:  # noqa: ARG002
        return DenseLearner(shared)
