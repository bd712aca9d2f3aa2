"""What was done to a task's parameters behind the optimizer's back: others put in their place, values changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from narrows.errors import OptimizerError
from narrows.masks import pick
from narrows.methods import Learner
from narrows.training.optimizers import few_of


class Attached:
    """The parameters that a model has, and where they hang; looked at after every step, so it is quick."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._names = dict(model.named_parameters())
        self._places: list[tuple[dict[str, Any], str, Any]] = []
        for module in model.modules():
            self._places += [(module._parameters, key, value) for key, value in module._parameters.items()]
            children = ((key, child) for key, child in module._modules.items() if child is not None)
            with_parameters = ((key, child) for key, child in children if next(child.parameters(), None) is not None)
            self._places += [(module._modules, key, child) for key, child in with_parameters]

    def require_same(self) -> None:
        """Raises OptimizerError, naming them, where a parameter was put in the place of another."""
        for where, key, value in self._places:
            if where.get(key) is not value:
                self._tell()

    def _tell(self) -> None:
        now = dict(self._model.named_parameters())
        replaced = [name for name, param in self._names.items() if now.get(name) is not param]
        if replaced:
            raise OptimizerError(
                f"{few_of(replaced)}: replaced after the optimizer was made, which goes on training what was there "
                "before. Change the model before task.optimizer(...), and values in place: "
                "with torch.no_grad(): parameter.copy_(values)."
            )


@torch.no_grad()
def moved_since(learner: Learner) -> list[str]:
    """Lets `learner` finish; names the parameters that hold, or held before, what no step of it left there."""
    shared = learner.shared
    before = [param.detach().clone() for param in shared.params]
    rows = zip(before, learner.masks, learner.claims, shared.frozen_at, shared.frozen_values, strict=True)
    moved = []
    for value, mask, claim, at, frozen in rows:
        reused = pick(mask, at) & ~pick(claim, at)
        moved.append(bool(((pick(value, at) != frozen) & reused).any()) or bool(((value != 0) & ~mask).any()))
    learner.finish()
    after = zip(before, shared.params, learner.claims, strict=True)
    moved = [known or bool(((old != new) & claim).any()) for known, (old, new, claim) in zip(moved, after, strict=True)]
    return [name for name, changed in zip(shared.names, moved, strict=True) if changed]
