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
from narrows.tasks.account import LayerAccount, account
from narrows.tasks.changed_parameters import Attached, moved_since
from narrows.tasks.gradient_evidence import GradientEvidence
from narrows.tasks.hooks import Steps
from narrows.tasks.optimizers import has_stepped, names_of
from narrows.tasks.partition import live_tensors
from narrows.tasks.seen_inputs import SeenInputs
from narrows.tasks.weights import TaskWeights
from narrows.training import History, Recorder, Schedule
from narrows.training.device import device_of, to_device
from narrows.training.randomness import undisturbed_generators
from narrows.training.recording import quantiles

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
        weights: TaskWeights,
        learner: Learner,
        optimizers: Sequence[torch.optim.Optimizer],
        plan: Extent,
    ) -> None:
        self.learner = learner
        self._taken = 0  # see `steps`
        self.model = model
        self._weights = weights
        self._started = time.perf_counter()
        self._optimizers = optimizers
        self.recorder = Recorder(_schedule(plan, learner, optimizers))
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

    def masks(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weights the task uses, and those of them that it claims."""
        names = self.learner.shared.names
        return self._weights.whole(names, self.learner.masks), self._weights.whole(names, self.learner.claims)

    def explain(self) -> tuple[LayerAccount, ...]:
        """See `Task.explain`."""
        return account(*self.masks(), self.learner.explain())

    def measure_ratio(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """See `Task.measure_ratio`."""
        device = device_of(self.model)
        with undisturbed_generators(device):  # batches are drawn from them
            # A copy of the batches: counting the epochs of the original is for the training.
            sample = ((to_device(x, device), y) for x, y in islice(copy.copy(batches), RATIO_BATCHES))
            ratios = effective_ranks(self.model, sample, list(self._weights.live()))
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


class InProgress:
    """What can be asked of a task from its optimizer on.

    Each raises OptimizerError where there is no optimizer yet.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._attached: Attachment | None = None

    def sample(self) -> AbstractContextManager[None]:
        """Wraps one forward and backward. Needed by the variational estimator and by hat; else it does nothing.

        with task.sample():
            loss = F.cross_entropy(task.model(x), y)
            loss.backward()
        """
        return self._require_attached().sample()

    @property
    def settled(self) -> bool:
        """Whether the sub-network of the moment is one to end with; see `narrows.methods.Learner.settled`."""
        return self._require_attached().learner.settled

    def state(self) -> dict[str, Any]:
        """The model's tensors and all that the method has besides, as a tree of live tensors and plain values.

        Beside the states of the optimizer, its scheduler and the random generators it is all that training goes on
        from; `fit(checkpoint=...)` keeps those too.
        """
        return self._require_attached().state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes the task, begun alike and with its optimizer made, to a `state()`; ModelMismatchError."""
        self._require_attached().load_state(state)

    def wants_ratio(self, epoch: int) -> bool:
        """Whether the method wants `measure_ratio` before this epoch, counted from 0."""
        return self._require_attached().learner.wants_ratio(epoch)

    def measure_ratio(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """Decomposes the layers' outputs on the first eight batches and tells the method their effective ranks.

        Returns:
            parameter -> effective rank at 97% of the variance / channels, in (0, 1].

        Raises:
            OptimizerError: there is no optimizer yet.
        """
        return self._require_attached().measure_ratio(batches)

    def explain(self) -> tuple[LayerAccount, ...]:
        """What the task keeps of each layer at this moment and, where the method measures it, how many nats.

        Raises:
            OptimizerError: there is no optimizer yet, and so nothing chosen.
        """
        return self._require_attached().explain()

    def history(self) -> History:
        """How it was trained so far, as it will stand with the task."""
        return self._require_attached().history()

    @property
    def recorder(self) -> Recorder:
        """What is recorded of the training: `recorder.history()` has it so far."""
        return self._require_attached().recorder

    @property
    def _learner(self) -> Learner | None:
        return None if self._attached is None else self._attached.learner

    def _require_attached(self) -> Attachment:
        if self._attached is None:
            raise OptimizerError(
                f"Task {self.name!r} has no optimizer yet: call task.fit(...), or task.optimizer(...) and train."
            )
        return self._attached


def _schedule(plan: Extent, learner: Learner, optimizers: Sequence[torch.optim.Optimizer]) -> Schedule:
    prune_from, prune_until = learner.pruning or (None, None)
    return Schedule(
        total_steps=plan.total_steps,
        examples=plan.examples,
        batch_size=plan.batch_size,
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
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise ModelMismatchError(
            f"The state is of another model: they differ in {', '.join(differ[:5])}{more}. Begin the task with the "
            "model and the head it had, or without the checkpoint."
        )


def _kind(tensor: Tensor) -> tuple[torch.dtype, torch.Size]:
    return tensor.dtype, tensor.shape
