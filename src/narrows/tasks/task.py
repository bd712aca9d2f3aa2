"""A task in progress: its model, the wrapped optimizer, and the commit that makes it part of the store."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from narrows.errors import NarrowsError, OptimizerError, StoreError
from narrows.methods import Method, Plan
from narrows.store import StoreDirectory, TaskRecord, TensorSpec
from narrows.store.compose import Frozen, digest
from narrows.tasks.account import figures_of
from narrows.tasks.attachment import Attachment, InProgress
from narrows.tasks.checkpoint import Checkpoint
from narrows.tasks.fit import Fit, fit
from narrows.tasks.heads import Head, describe_head
from narrows.tasks.hooks import check_optimizer
from narrows.tasks.weights import TaskWeights
from narrows.training import Tracker, Trackers
from narrows.training.tracking import as_one

Told = Mapping[str, Any] | Callable[[nn.Module], Mapping[str, Any]]
"""What is kept with a task, or a function of its network that gives it."""


class Lock(Protocol):
    """What holds other writers off until it is released."""

    def release(self) -> None: ...


class Task(InProgress):
    """A task being learned. Made by `TaskStore.begin`; holds the store's lock until committed or abandoned.

    Attributes:
        name: the task's name.
        model: a copy of the store's network with this task's head, to be trained; move it to a device
            before making the optimizer.
        method: what decides which weights it uses.

    A task is a context manager that abandons it where it was not committed.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        method: Method,
        *,
        head: Head | None,
        directory: StoreDirectory,
        specs: tuple[TensorSpec, ...],
        private: tuple[str, ...],
        lock: Lock,
        frozen: Frozen,
        carry: Mapping[str, Tensor] | None,
    ) -> None:
        super().__init__(name)
        self.model = model
        self.method = method
        self._head = head
        self._directory = directory
        self._layout = (specs, private)
        self._lock = lock
        self._frozen = frozen
        self._known = directory.task_names()
        self._carry = carry
        self._checkpoint: Checkpoint | None = None
        self._trackers = Trackers()
        self._seconds: float | None = None
        self._open = True
        isolated = method.isolation == "shared"
        self._weights = TaskWeights(model, head and head[0], specs, frozen, isolated=isolated)
        shared = self._weights.shared()
        # What is frozen from here on is frozen for a while, not fixed.
        self._trained = {name for name, param in model.named_parameters() if param.requires_grad} | set(shared.names)
        method.check(shared)
        method.initialise(shared, carry)

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

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
        *,
        total_steps: int | None = None,
        examples: int | None = None,
        batch_size: int | None = None,
    ) -> torch.optim.Optimizer:
        """Lets this task's method see the steps of an optimizer made elsewhere; see `optimizer`.

        Raises:
            ModelMismatchError: `task.model` is another than `begin` made, or sharded, or a part of it was wrapped.
        """
        self._require_open()
        if self._attached is not None:
            raise OptimizerError(f"Task {self.name!r} has an optimizer already; one trains it from start to end.")
        model = self._weights.own_model(self.model)
        self._weights.require_same_layout()
        check_optimizer(optimizer, model)
        plan = Plan(total_steps, examples, batch_size)
        learner = self.method.learner(self._weights.shared(), plan, self._carry)
        self._attached = Attachment(model, self._weights, learner, optimizer, plan)
        return optimizer

    def fit(
        self,
        batches: Iterable[tuple[Any, Any]],
        epochs: int,
        *,
        checkpoint: Checkpoint | None = None,
        trackers: Iterable[Tracker] | Trackers = (),
        **options: Any,
    ) -> Fit:
        """Trains the task on re-iterable `batches` of (inputs, targets); see `narrows.tasks.fit.fit` for all options.

        Args:
            checkpoint: where the task in progress is kept until it is committed, and gone on with from.
            trackers: told how training goes, and of the figures at `commit`.

        Example: `task.fit(loader, epochs=10, lr=6e-3)`.
        """
        self._require_open()
        self._checkpoint, self._trackers = checkpoint, as_one(trackers)
        result = fit(self, batches, epochs, checkpoint=checkpoint, trackers=self._trackers, **options)
        self._seconds = result.seconds
        return result

    def foundation(self) -> dict[str, Any]:
        """What the task builds on: the tasks before it, and a SHA-256 over the weights and the carry they left."""
        masks, values = self._frozen.masks, self._frozen.values
        frozen = {f"mask.{name}": mask for name, mask in masks.items()} | values
        return {"tasks": list(self._known), "sha256": digest(frozen, self._carry or {})}

    def commit(self, *, metrics: Told | None = None, data: Told | None = None, history: bool = True) -> TaskRecord:
        """Makes the task part of the store, durably and all at once, and releases the store.

        Args:
            metrics: figures to keep with it, plain JSON values; or a function that gives them, of the network as
                `TaskStore.load` will give it (a copy, on the CPU, in eval mode).
            data: what it was learned on, in the same way.
            history: whether to keep how it was trained (`TaskRecord.history`, some 2 KB; read it with
                `narrows.training.read_history`).

        Raises:
            OptimizerError: it was not trained.
            NonFiniteError: a weight is NaN or infinite; names it. Nothing is written.
            StoreError: the disk is full, say, or somebody else wrote meanwhile. Nothing is changed.
        """
        self._require_open()
        attached = self._require_attached()
        learner = attached.learner
        if not attached.steps:
            raise OptimizerError(f"Task {self.name!r} has not taken an optimizer step: there is nothing to commit.")
        learner.finish()
        self._weights.require_finite()
        metrics, data = self._told(metrics), self._told(data)
        used, claimed = attached.masks()
        content = self._weights.content(used, claimed, self._directory.base())
        record = TaskRecord(
            name=self.name,
            index=-1,
            directory="",
            created="",
            isolation=self.method.isolation,
            method={"name": self.method.name, "config": self.method.config()},
            head=describe_head(self._head),
            data=data,
            metrics=metrics,
            seconds=round(attached.seconds if self._seconds is None else self._seconds, 3),
            parents=self._frozen.parents(used, claimed) if self.method.isolation == "shared" else (),
            layers={layer.name: layer.to_json() for layer in attached.explain()},
            weights_sha256=digest(self._weights.baked(content), content.private),
            history=attached.history().to_json() if history else None,
        )
        written = self._directory.append(
            record, content, carry=learner.carry(), after=self._known, layout=self._layout
        )  # the first task's head settles where heads go, and so what is shared
        self._trackers.end(figures_of(written))
        with suppress(OSError, StoreError):  # the task is in the store: what is left over does no harm
            self._directory.progress(self.name).drop()
            if self._checkpoint is not None:
                self._checkpoint.drop()
        self._close()
        return written

    def _told(self, told: Told | None) -> dict[str, Any]:
        return dict(told(copy.deepcopy(self.model).cpu().eval()) if callable(told) else told or {})

    def abandon(self) -> None:
        """Gives the task up: nothing is written, and the store is free for another. Harmless once committed."""
        if self._open:
            self._close()

    def _close(self) -> None:
        self._open = False
        self._trackers.end(None)
        if self._attached is not None:
            self._attached.let_go()
        self._lock.release()

    def _require_open(self) -> None:
        if not self._open:
            raise NarrowsError(f"Task {self.name!r} was committed or abandoned; begin another.")
