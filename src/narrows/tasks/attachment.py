"""A learner at work on a task's model: joined to the optimizer, counted and timed, until it is let go."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from narrows.methods import Learner
from narrows.methods.features import effective_ranks
from narrows.tasks.account import LayerAccount, account
from narrows.tasks.hooks import join
from narrows.tasks.weights import TaskWeights
from narrows.training.device import device_of, to_device

RATIO_BATCHES = 8


class Attachment:
    """Joins `learner` to the steps of `optimizer`.

    Attributes:
        learner: what decides which of the model's weights the task uses.
        steps: optimizer steps it has seen.
    """

    def __init__(
        self, model: nn.Module, weights: TaskWeights, learner: Learner, optimizer: torch.optim.Optimizer
    ) -> None:
        self.learner = learner
        self.steps = 0
        self._model = model
        self._weights = weights
        self._started = time.perf_counter()
        self._hooks = join(optimizer, learner, self._count)

    @property
    def seconds(self) -> float:
        """Since it was joined."""
        return time.perf_counter() - self._started

    def masks(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weights the task uses, and those of them that it claims."""
        names = self.learner.shared.names
        return self._weights.whole(names, self.learner.masks), self._weights.whole(names, self.learner.claims)

    def explain(self) -> tuple[LayerAccount, ...]:
        """See `Task.explain`."""
        return account(*self.masks(), self.learner.explain())

    def measure_ratio(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """See `Task.measure_ratio`."""
        with torch.random.fork_rng(devices=[]):  # a DataLoader draws from the global generator
            # A copy of the batches: counting the epochs of the original is for the training.
            device = device_of(self._model)
            sample = ((to_device(x, device), y) for x, y in islice(copy.copy(batches), RATIO_BATCHES))
            ratios = effective_ranks(self._model, sample, list(self._weights.live()))
        self.learner.set_ratio(ratios)
        return ratios

    def let_go(self) -> None:
        """The optimizer is an ordinary one again."""
        for hook in self._hooks:
            hook.remove()

    def _count(self) -> None:
        self.steps += 1
