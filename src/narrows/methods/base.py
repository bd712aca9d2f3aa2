"""The contract every method keeps, and nothing about any one of them.

A *method* is a frozen configuration (`IBM(density=0.04)`). For each task it makes a *learner*, which
sees every optimizer step before and after and decides which weights the task uses. Learners never
touch the model's forward: a parameter always holds the current task's effective weights, with a
weight outside the mask at exactly 0.0, and autograd still gives that weight its dense gradient.

This layer does not know the store, the task's data or the training loop.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from narrows.errors import OptimizerError
from narrows.masks import fill_, marked, pick, places, put_, spread
from narrows.methods.sizes import Sizes

Isolation = Literal["shared", "own", "none"]

State = dict[str, Any]
"""A tree: str keys; dicts, lists, str, int, float, bool, None and tensors, nothing else."""


@dataclass
class SharedWeights:
    """The parameters tasks share, in the store's order, with what earlier tasks froze.

    What is frozen is few weights, and held as such: their positions and values.

    Attributes:
        names: names of the parameters.
        params: the live parameters of the task's model.
        frozen_at: of each parameter, the positions of the weights that some earlier task uses: int64, 1-D, ascending,
            in C order, on the parameter's device.
        frozen_values: their values, 1-D, of the parameter's dtype.
        resting: ids of parameters whose learning rate is 0 in this step.
    """

    names: tuple[str, ...]
    params: list[nn.Parameter]
    frozen_at: list[Tensor]
    frozen_values: list[Tensor]
    resting: frozenset[int] = frozenset()

    @classmethod
    def dense(
        cls, names: Sequence[str], params: Sequence[nn.Parameter], frozen: Sequence[Tensor], values: Sequence[Tensor]
    ) -> SharedWeights:
        """From what is frozen (bool) and its values (what stands elsewhere is not looked at), in the params' shapes.

        >>> param = nn.Parameter(torch.ones(1, 2))
        >>> SharedWeights.dense(["w"], [param], [torch.tensor([[False, True]])], [torch.ones(1, 2)]).frozen_at
        [tensor([1])]
        """
        at = [places(mask) for mask in frozen]
        held = [pick(value, one.to(value.device)) for value, one in zip(values, at, strict=True)]
        on_device = [one.to(param.device) for one, param in zip(at, params, strict=True)]
        return cls(
            tuple(names), list(params), on_device, [one.to(param) for one, param in zip(held, params, strict=True)]
        )

    @property
    def frozen(self) -> list[Tensor]:
        """bool, of each parameter's shape: the frozen weights. Made anew each time: not for every step."""
        return [marked(param.shape, at) for param, at in zip(self.params, self.frozen_at, strict=True)]

    @property
    def values(self) -> list[Tensor]:
        """Of each parameter's shape: the frozen weights' values, 0 elsewhere. Made anew each time."""
        rows = zip(self.params, self.frozen_at, self.frozen_values, strict=True)
        return [spread(param.shape, at, values) for param, at, values in rows]

    def total(self) -> int:
        """Number of shared weights."""
        return sum(param.numel() for param in self.params)

    def frozen_count(self) -> int:
        """Number of frozen weights."""
        return sum(at.numel() for at in self.frozen_at)

    def free_by_layer(self) -> dict[str, int]:
        """Number of free weights in each parameter."""
        rows = zip(self.names, self.params, self.frozen_at, strict=True)
        return {name: param.numel() - at.numel() for name, param, at in rows}


@dataclass(frozen=True)
class Extent:
    """What is known of a task's training before it starts.

    Attributes:
        total_steps: optimizer steps that will be taken.
        examples: N, training examples; needed where information has a price in nats.
        batch_size: examples that one optimizer step averages over.
    """

    total_steps: int | None = None
    examples: int | None = None
    batch_size: int | None = None

    def require_steps(self, method: str) -> int:
        """`total_steps`, or OptimizerError where it was not said."""
        if self.total_steps is None or self.total_steps < 1:
            raise OptimizerError(
                f"{method} chooses its sub-network over the course of training and must know its length: "
                "say task.optimizer(..., total_steps=len(loader) * epochs)."
            )
        return self.total_steps


class Learner(abc.ABC):
    """A method at work on one task.

    Args:
        shared: the parameters it works on; their values are already the task's starting point.
    """

    def __init__(self, shared: SharedWeights) -> None:
        self.shared = shared

    @property
    @abc.abstractmethod
    def masks(self) -> list[Tensor]:
        """The sub-network of the moment: bool, one for each shared parameter; it may be made when it is asked for."""

    @property
    def claims(self) -> list[Tensor]:
        """The weights of `masks` whose values are this task's own; the others it reuses as they are frozen.

        A claim on a frozen weight *refines* it: this task has a value of its own there, earlier tasks keep theirs.
        """
        rows = zip(self.masks, self.shared.frozen_at, strict=True)
        return [fill_(mask.clone(), at, value=False) for mask, at in rows]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters of the method's own (scores, gates) for the user's optimizer to train.

        Their gradients are the learner's to set (before the step, or as `narrows.methods.own_parameters` does); they
        are cleared after each.
        """
        return []

    def sample(self) -> AbstractContextManager[None]:
        """Wraps one forward and backward; a method with noisy weights puts the noise on in it."""
        return nullcontext()

    @abc.abstractmethod
    def before_step(self) -> None:
        """Called with the gradients in place, before the optimizer moves anything."""

    @abc.abstractmethod
    def after_step(self) -> None:
        """Called when the optimizer has moved everything: puts back what must not move."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Settles the sub-network for good and leaves its effective weights in the parameters."""

    @property
    @abc.abstractmethod
    def settled(self) -> bool:
        """Whether the network of the moment is one the task could end with, so that it may be compared with later ones.

        False while the sub-network is still on its way to its size.
        """

    @abc.abstractmethod
    def state(self) -> State:
        """Everything the steps to come depend on besides the parameters, as a tree; its tensors may be live.

        Parameters of its own in the optimizer belong to it. What follows from the configuration, the shared weights,
        the plan and the carry it was made with need not be in it.
        """

    @abc.abstractmethod
    def load_state(self, state: State) -> None:
        """Goes on from a `state()` of a learner made alike; copies its tensors. Called with the parameters in place."""

    def set_ratio(self, ratios: Mapping[str, float]) -> None:  # noqa: B027
        """Takes each layer's compression ratio (a fraction); a method without that use ignores it."""

    def wants_ratio(self, epoch: int) -> bool:  # noqa: ARG002
        """Whether `set_ratio` is wanted before this epoch (counted from 0)."""
        return False

    def explain(self) -> dict[str, dict[str, float | None]]:
        """For each parameter, what the method knows of why its weights stay; see `Task.explain`."""
        return {name: {} for name in self.shared.names}

    @property
    def pruning(self) -> tuple[int, int] | None:
        """The steps between which the sub-network shrinks to its size; None where it always has it, or says nothing."""
        return None

    def sizes(self) -> Sizes:
        """The size of the sub-network of the moment. It counts every mask: ask now and then, not at each step."""
        total = self.shared.total()
        used, new = (sum(int(mask.sum()) for mask in masks) for masks in (self.masks, self.claims))
        return Sizes(new / total, (used - new) / total)

    def log_alpha(self) -> Tensor | None:
        """log(sigma^2 / theta^2) of the gate of each weight that is in, 1-D; None where the method has no such gates.

        Of the moment, and not cheap either.
        """
        return None

    def carry(self) -> dict[str, Tensor] | None:
        """Training state that the next task of this method starts from, or None."""
        return None


@torch.no_grad()
def copy_each(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copies each value into its target, in place and wherever that lies."""
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)


@dataclass(frozen=True)
class Method(abc.ABC):
    """Configuration of a method: plain values only, so that it can be written down as JSON.

    Class attributes:
        name: what it is called on the command line and in files.
        summary: one line for `narrows methods`.
        isolation: "shared": tasks share weights and never change one another's; "own": each task has a
            private network; "none": a task overwrites those before it.
        learning_rate: of Adam, where the user says none.
        together: whether a benchmark run trains all tasks at once with it, and not one after another.
        tunable: what `narrows compare` tunes: "lr", or an option whose default is a number, with the least and
            the greatest value tried; values are drawn uniformly in their logarithm.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    isolation: ClassVar[Isolation] = "shared"
    learning_rate: ClassVar[float] = 1e-3
    together: ClassVar[bool] = False
    tunable: ClassVar[Mapping[str, tuple[float, float]]] = {"lr": (3e-4, 3e-2)}

    def initialise(self, shared: SharedWeights, carry: Mapping[str, Tensor] | None) -> None:  # noqa: ARG002
        """Sets the values a task starts from; the parameters hold the base network's.

        Default: frozen weights as they are, free ones as in the base network.
        """
        with torch.no_grad():
            for param, at, values in zip(shared.params, shared.frozen_at, shared.frozen_values, strict=True):
                put_(param, at, values)

    @abc.abstractmethod
    def learner(self, shared: SharedWeights, plan: Extent, carry: Mapping[str, Tensor] | None) -> Learner:
        """The learner of one task."""

    def check(self, shared: SharedWeights) -> None:  # noqa: B027
        """Raises CapacityError where this method cannot learn another task on these weights."""

    def check_tasks(self, tasks: int, sizes: Sequence[int] | None = None) -> None:  # noqa: B027
        """Raises CapacityError where this method cannot learn a stream of that many tasks; called before training.

        Args:
            tasks: how many, the first included.
            sizes: number of weights of each shared parameter. Without it fractions are taken as they are; a
                network rounds budgets down to whole weights, so that another task may just fit.
        """

    def config(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return dataclasses.asdict(self)
