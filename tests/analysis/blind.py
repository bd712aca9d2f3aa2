"""A task whose one input was taken out of its mask on purpose, and the same task whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

import narrows as nw
from narrows.analysis.labelled import Labelled
from narrows.methods import Learner
from narrows.methods.isolation import Isolator

NAMES = ("stay", "leave", "returns", "complaints")


@dataclass(frozen=True)
class Blind(nw.Method):
    """All weights but those that read the last input, from the first step or only when training is over."""

    name: ClassVar[str] = "blind"
    summary: ClassVar[str] = "blind to the last input"
    columns: int = 1
    late: bool = False

    def learner(self, shared, plan, carry):  # noqa: ARG002
        return BlindLearner(shared, self.columns, self.late)


class BlindLearner(Learner):
    def __init__(self, shared, columns, late):
        super().__init__(shared)
        self.isolator, self.late = Isolator(shared), late
        self.blind = [torch.ones_like(mask) for mask in shared.frozen]
        if columns:
            self.blind[0][:, -columns:] = False
        if not late:
            self.isolator.use(self.blind)

    @property
    def masks(self):
        return self.isolator.masks

    def before_step(self):
        self.isolator.mask_gradients()

    def after_step(self):
        self.isolator.restore()

    def finish(self):
        self.isolator.use(self.blind)
        self.isolator.restore()

    @property
    def settled(self):
        return not self.late

    def state(self):
        return {}

    def load_state(self, state):
        pass


def examples(count: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Four classes: by the sign of the first input, and by that of the last one."""
    x = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long() + 2 * (x[:, -1] > 0).long()


def labelled(seed: int = 1) -> Labelled:
    x, y = examples(seed=seed)
    return Labelled(x, y, names=NAMES)


def store(path: Path, method: nw.Method) -> nw.TaskStore:
    """A store whose task "shop" was learned by `method`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))
    made = nw.TaskStore.create(path, model, head="4")
    with made.begin("shop", method, head=nn.Linear(24, 4)) as task:
        task.fit([examples()], nw.Training(120, lr=0.02))
        task.commit()
    return made
