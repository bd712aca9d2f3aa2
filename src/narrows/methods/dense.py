"""The learner of methods without masks. Knows nothing of why they have none."""

from __future__ import annotations

import torch
from torch import Tensor

from narrows.methods.base import Learner, State


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
