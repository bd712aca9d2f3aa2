"""A task while it is trained: its optimizers, its learner, how far it is.

Knows a method and optimizers; it does not know what the task is kept in.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from narrows.errors import NarrowsError, OptimizerError
from narrows.methods import Extent, Learner, Method
from narrows.training.attachment import Attachment
from narrows.training.checkpoint import Checkpoint
from narrows.training.fits import Fits
from narrows.training.history import History
from narrows.training.optimizers import check_optimizers
from narrows.training.recording import Recorder
from narrows.training.tracking import Tracker, Trackers, as_one


class TaskInProgress(abc.ABC):
    """A network that is trained by a method: what is asked of it from its optimizer on.

    What the method works on is up to who made it. Where there is no optimizer yet, most raise OptimizerError.

    Attributes:
        name: the task's.
        model: what is trained.
        method: what decides which weights it uses.
        fits: those that ended, and the one that is under way.
    """

    def __init__(self, name: str, model: nn.Module, method: Method) -> None:
        self.name, self.model, self.method = name, model, method
        self.fits = Fits(name, model)
        # What is frozen from here on is frozen for a while, not fixed.
        self._trained = {name for name, param in model.named_parameters() if param.requires_grad}
        self._attached: Attachment | None = None
        self._checkpoint: Checkpoint | None = None
        self._trackers = Trackers()
        self._open = True

    @abc.abstractmethod
    def foundation(self) -> dict[str, Any]:
        """What it builds on, plain values: a checkpoint is gone on with upon the same only."""

    @abc.abstractmethod
    def _own_model(self) -> nn.Module:
        """The model, out of what was wrapped around it. ModelMismatchError where it is not the one to be trained."""

    @abc.abstractmethod
    def _new_learner(self, extent: Extent) -> Learner: ...

    def optimizer(
        self,
        kind: type[torch.optim.Optimizer],
        params: Iterable[dict[str, Any]] | None = None,
        *,
        total_steps: int | None = None,
        examples: int | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> torch.optim.Optimizer:
        """An ordinary optimizer of the class `kind` whose steps this task's method sees.

        Reused weights are put back to their frozen values after every step and dropped ones set to 0, whatever the
        optimizer does; refined ones (see `IBM`) are trained, and older tasks keep their own values of them.
        Clip gradients as usual before the step; the norm clipped is that of the dense gradient.

        Args:
            kind: any `torch.optim.Optimizer` class.
            params: parameter groups built from `task.model`; default: all trainable parameters in one, those too that
                are frozen for the beginning (`requires_grad_(False)` after `begin`).
            total_steps: optimizer steps that will be taken; needed by ibm.
            examples: training examples; needed where information has a price (`beta`, or variational).
            batch_size: examples that one optimizer step averages over, accumulation included; needed with `beta`.
            **options: given to `kind`, as `lr=6e-3`.

        A method's own parameters (WSN's scores, variational gates) become further groups, the gates with a learning
        rate of their own (`IBM.gate_lr`, `HAT.gate_lr`): a scheduler made after this scales it like the others, but
        `OneCycleLR(max_lr=...)` wants one number for each group.

        Example: `optimizer = task.optimizer(torch.optim.AdamW, lr=6e-3, total_steps=len(loader) * epochs)`;
        the class of `TaskStore` has one that runs, and `examples/own_training_loop.py` a whole loop.

        Raises:
            OptimizerError: `params` are not the model's, what the method needs was not said, or the task has an
                optimizer already.
        """
        if params is None:
            everything = self.model.named_parameters()
            chosen = [param for name, param in everything if param.requires_grad or name in self._trained]
        optimizer = kind(chosen if params is None else params, **options)
        return self.attach(optimizer, total_steps=total_steps, examples=examples, batch_size=batch_size)

    def attach(
        self,
        optimizer: torch.optim.Optimizer,
        *others: torch.optim.Optimizer,
        total_steps: int | None = None,
        examples: int | None = None,
        batch_size: int | None = None,
    ) -> torch.optim.Optimizer:
        """Lets this task's method see the steps of an optimizer made elsewhere; see `optimizer`.

        Several that train the model together (Muon the matrices, AdamW the rest) are given at once; each round of them
        is one step. docs/frameworks.md has more on this, on resuming, and on training in frameworks.

        Returns:
            the first one given.

        Raises:
            OptimizerError: together they do not train exactly the model's parameters, or one has taken steps already.
            ModelMismatchError: `task.model` is another than `begin` made, or sharded, or on several devices, or a part
                of it was wrapped.
        """
        self._require_open()
        self.fits.require_way(self._attached)
        model = self._own_model()
        optimizers = (optimizer, *others)
        check_optimizers(optimizers, model)
        extent = Extent(total_steps, examples, batch_size)
        before = self.fits.make_way(self._attached)
        learner = before.learner if before else self._new_learner(extent)
        self._attached = Attachment(model, learner, optimizers, extent)
        if before:
            self._attached.go_on(before, self.fits.epochs)
        return optimizer

    @contextmanager
    def next_fit(self, checkpoint: Checkpoint | None, trackers: Iterable[Tracker] | Trackers) -> Iterator[Trackers]:
        """While the next fit is trained: what is told of it, until the task ends. ConfigError: see `Fits.next`."""
        self._require_open()
        with self.fits.next(kept=checkpoint is not None):
            self._trackers.end(None)
            self._checkpoint, self._trackers = self._checkpoint if checkpoint is None else checkpoint, as_one(trackers)
            yield self._trackers

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

    def _require_open(self) -> None:
        if not self._open:
            raise NarrowsError(f"Task {self.name!r} was committed or abandoned; begin another.")

    def _require_attached(self) -> Attachment:
        self._require_open()
        if self._attached is None:
            raise OptimizerError(
                f"Task {self.name!r} has no optimizer yet: call task.fit(...), or task.optimizer(...) and train."
            )
        return self._attached
