"""A learner at work on a task's model: joined to the optimizer, counted and timed, until it is let go."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, OptimizerError
from narrows.methods import Extent, Learner
from narrows.methods.base import copy_each
from narrows.methods.features import effective_ranks
from narrows.training.changed_parameters import Attached, moved_since
from narrows.training.device import device_of, to_device
from narrows.training.gradient_evidence import GradientEvidence
from narrows.training.history import History, Schedule
from narrows.training.module_tensors import live_tensors
from narrows.training.optimizers import few_of, has_stepped, names_of
from narrows.training.randomness import undisturbed_generators
from narrows.training.recording import Recorder, quantiles
from narrows.training.seen_inputs import SeenInputs
from narrows.training.step_hooks import Steps

RATIO_BATCHES = 8


class Attachment:
    """Joins `learner` to the steps of `optimizers`, which train the model together.

    Attributes:
        model: what is trained.
        learner: what decides which of the model's weights the task uses.
        recorder: of how it is trained.
        seen: what the model was called with.
        learned: whether anything had a gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        learner: Learner,
        optimizers: Sequence[torch.optim.Optimizer],
        extent: Extent,
    ) -> None:
        self.model, self.learner = model, learner
        self._taken = 0  # see `steps`
        self._started = time.perf_counter()
        self._optimizers = optimizers
        self.recorder = Recorder(_schedule(extent, learner, optimizers))
        self._parameters = Attached(model)
        self.seen = SeenInputs(model)
        self.learned = GradientEvidence(optimizers, learner.shared.params)
        self._steps = Steps(optimizers, learner, begin=self._require_state, look=self.learned.look, end=self._count)

    def go_on(self, before: Attachment, epochs: int) -> None:
        """Follows another attachment of the same learner, which had trained for so many epochs in all."""
        self._taken = before._taken  # it may have been stopped in the middle of a round
        self.learned.go_on(before.learned)
        self.recorder.go_on(before.recorder, epochs)

    @property
    def seconds(self) -> float:
        """Since it was joined."""
        return time.perf_counter() - self._started

    @property
    def steps(self) -> int:
        """Optimizer steps that made the task what it is; OptimizerError where one of several has yet to step."""
        self._steps.require_whole()
        return self._taken

    @steps.setter
    def steps(self, steps: int) -> None:
        self._taken = steps

    def sample(self) -> AbstractContextManager[None]:
        """See `Task.sample`."""
        self._steps.require_whole()
        return self.learner.sample()

    def finish(self) -> list[str]:
        """Settles the sub-network; names the shared parameters that somebody changed since the last step.

        That is where masks take away what they hold, or put back what a method keeps elsewhere.

        Raises:
            OptimizerError: a parameter is not the one that was trained.
        """
        self._parameters.require_same()
        return moved_since(self.learner)

    def measure_ratio(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """See `Task.measure_ratio`."""
        device = device_of(self.model)
        with undisturbed_generators(device):  # batches are drawn from them
            # A copy of the batches: counting the epochs of the original is for the training.
            sample = ((to_device(x, device), y) for x, y in islice(copy.copy(batches), RATIO_BATCHES))
            ratios = effective_ranks(self.model, sample, list(self.learner.shared.names))
        self.learner.set_ratio(ratios)
        return ratios

    def history(self) -> History:
        """How it was trained; the choice may have had to wait, and come later than was planned."""
        prune_from, prune_until = self.learner.pruning or (None, None)
        found = self.recorder.history()
        return replace(found, schedule=replace(found.schedule, prune_from=prune_from, prune_until=prune_until))

    def state(self) -> dict[str, Any]:
        """See `Task.state`."""
        tensors = {name: tensor.detach() for name, tensor in live_tensors(self.model).items()}
        learner, history = self.learner.state(), self.recorder.state()
        learned = self.learned.state()
        return {"tensors": tensors, "learner": learner, "steps": self.steps, "history": history, "learned": learned}

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Task.load_state`."""
        tensors, kept = live_tensors(self.model), state["tensors"]
        _require_alike(tensors, kept)
        copy_each([tensors[name] for name in kept], list(kept.values()))
        self.learner.load_state(state["learner"])
        self.steps = state["steps"]
        if "history" in state:
            self.recorder.load_state(state["history"])
        if "learned" in state:
            self.learned.load_state(state["learned"])
        else:  # of an earlier version, which did not look
            self.learned.load_state({"anything": True, "shares": True})

    def let_go(self) -> None:
        """The optimizers are ordinary ones again."""
        self._steps.remove()
        self.seen.let_go()

    def _require_state(self) -> None:
        if not self._taken and any(map(has_stepped, self._optimizers)):
            raise OptimizerError(
                "The optimizer goes on from an earlier training and the task begins anew: its state was loaded and the "
                "task's was not, so what had been dropped would come back, to be dropped once more. Keep task.state() "
                "beside the optimizer's state dict and call task.load_state(...) before the first step "
                "(docs/frameworks.md); without it, begin the training anew."
            )

    def _count(self) -> None:
        self._parameters.require_same()
        self._taken += 1
        if self.recorder.step():
            self.seen.again()
            sizes = self.learner.sizes()
            log_alpha = quantiles(self.learner.log_alpha()) if self.recorder.wants_alpha else None
            lr = float(self._optimizers[0].param_groups[0]["lr"])
            self.recorder.add(lr=lr, new=sizes.new, reused=sizes.reused, log_alpha=log_alpha)


def _schedule(extent: Extent, learner: Learner, optimizers: Sequence[torch.optim.Optimizer]) -> Schedule:
    prune_from, prune_until = learner.pruning or (None, None)
    return Schedule(
        total_steps=extent.total_steps,
        examples=extent.examples,
        batch_size=extent.batch_size,
        optimizer=names_of(optimizers),
        lr=float(optimizers[0].param_groups[0]["lr"]),
        prune_from=prune_from,
        prune_until=prune_until,
    )


def _require_alike(model: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    differ = sorted(
        name
        for name in model.keys() | kept.keys()
        if name not in model or name not in kept or _kind(model[name]) != _kind(kept[name])
    )
    if differ:
        raise ModelMismatchError(
            f"The state is of another model: they differ in {few_of(differ)}. Begin the task with the "
            "model and the head it had, or without the checkpoint."
        )


def _kind(tensor: Tensor) -> tuple[torch.dtype, torch.Size]:
    return tensor.dtype, tensor.shape
