"""A task in progress: its model, the wrapped optimizer, and the commit that makes it part of the store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from narrows.errors import NarrowsError, OptimizerError, StoreError
from narrows.memory import enough_memory
from narrows.methods import Extent, Method
from narrows.store import StoreDirectory, TaskRecord
from narrows.subnet import Held, TensorSpec, digest
from narrows.tasks.account import LayerAccount, figures_of, read_account
from narrows.tasks.attachment import Attachment, InProgress
from narrows.tasks.checkpoint import Checkpoint
from narrows.tasks.fit import Fit, fit
from narrows.tasks.fits import Fits
from narrows.tasks.heads import Head, describe_head
from narrows.tasks.optimizers import check_optimizers, require_one_device
from narrows.tasks.partition import named_tensors
from narrows.tasks.sameness import require_same
from narrows.tasks.settling import Settled, Told, settled, told
from narrows.tasks.weights import TaskWeights, listed
from narrows.training import Tracker, Trackers
from narrows.training.device import device_of
from narrows.training.randomness import undisturbed_generators
from narrows.training.tracking import as_one

Untrained = Callable[[dict[str, Any] | None, Mapping[str, Tensor], Collection[str]], nn.Module]
"""Of (description of the head, private tensors, names): a fresh network of the store, the head in its place.

It has the base network's values in the tensors of these names, and zeros in what tasks share."""


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

    A task is a context manager that abandons it where it was not committed. Committed or abandoned, it lets go of all
    but `model` (without gradients) and what is in its record: `explain` answers from there.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        method: Method,
        *,
        head: Head | None,
        untrained: Untrained,
        directory: StoreDirectory,
        specs: tuple[TensorSpec, ...],
        private: tuple[str, ...],
        lock: Lock,
        held: Held,
        carry: Mapping[str, Tensor] | None,
    ) -> None:
        super().__init__(name)
        self.model = model
        self.method = method
        self._head = head
        self._untrained = untrained
        self._directory = directory
        self._layout = (specs, private)
        self._lock = lock
        self._held = held
        self._held_sha256 = digest(held.tensors(), {})
        self._known = directory.task_names()
        self._carry = carry
        self._checkpoint: Checkpoint | None = None
        self._trackers = Trackers()
        self._seconds: float | None = None
        self._fits = Fits(name, model)
        self._open = True
        self._committed: TaskRecord | None = None
        isolated = method.isolation == "shared"
        self._weights = TaskWeights(model, head and head.path, specs, held, isolated=isolated)
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
        self._fits.require_way(self._attached)
        model = self._weights.own_model(self.model)
        require_one_device(model)
        self._weights.require_same_layout()
        optimizers = (optimizer, *others)
        check_optimizers(optimizers, model)
        plan = Extent(total_steps, examples, batch_size)
        before = self._fits.make_way(self._attached)
        learner = before.learner if before else self.method.learner(self._weights.shared(), plan, self._carry)
        self._attached = Attachment(model, self._weights, learner, optimizers, plan)
        if before:
            self._attached.go_on(before, self._fits.epochs)
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

        Called again, it goes on: the sub-network that was chosen is trained further, with a new optimizer and a new
        schedule of its learning rate. A fit that did not end (Ctrl-C, an error) is begun anew instead, from the weights
        that it began from; with a checkpoint it goes on where it was.

        Args:
            checkpoint: where the task in progress is kept until it is committed, and gone on with from.
            trackers: told how training goes, and of the figures at `commit`.

        Raises:
            OptimizerError: the task has an optimizer of your own.
            ConfigError: a checkpoint for a fit that goes on from one that ended; and as `narrows.tasks.fit.fit`.

        Example: `task.fit(loader, epochs=10, lr=6e-3)`.
        """
        self._require_open()
        with self._fits.next(checkpoint):
            self._trackers.end(None)
            self._checkpoint, self._trackers = self._checkpoint if checkpoint is None else checkpoint, as_one(trackers)
            result = fit(self, batches, epochs, checkpoint=checkpoint, trackers=self._trackers, **options)
        self._fits.ended(result)
        self._seconds = self._fits.seconds
        return result

    def foundation(self) -> dict[str, Any]:
        """What the task builds on: the tasks before it, and a SHA-256 over the weights and the carry they left."""
        self._require_open()
        return {"tasks": list(self._known), "sha256": digest(self._held.tensors(), self._carry or {})}

    def commit(self, *, metrics: Told | None = None, data: Told | None = None, history: bool = True) -> TaskRecord:
        """Makes the task part of the store, durably and all at once, and releases the store.

        Before anything is written, the network that `TaskStore.load` will give is put together and compared with the
        trained one: every tensor to the bit, and the outputs (in eval mode) for what `model` was first called with
        after its optimizer was made.

        A network that was changed after the last step, by the state dict of the best epoch or an average of the
        weights, is a warning where the task's masks do not leave it as it is; docs/training.md has the way that is
        right: `state` and `load_state`. So is a task whose steps had gradients for its head alone.

        Args:
            metrics: figures to keep with it, plain JSON values; or a function that gives them, of the network as
                `TaskStore.load` will give it (on the CPU, in eval mode).
            data: what it was learned on, in the same way.
            history: whether to keep how it was trained (`TaskRecord.history`, some 2 KB; read it with
                `narrows.training.read_history`).

        Raises:
            OptimizerError: it was not trained, no step had a gradient, or a parameter was replaced after the optimizer
                was made.
            NonFiniteError: a weight is NaN or infinite; names it. Nothing is written.
            ModelMismatchError: the network that the store would give is not the one that was trained (another dtype,
                state that is no parameter or buffer, ...); names what differs. Nothing is written.
            StoreError: the disk is full, say, or somebody else wrote meanwhile. Nothing is changed.
        """
        self._require_open()
        attached = self._require_attached()
        learner, seconds = attached.learner, attached.seconds if self._seconds is None else self._seconds
        if not attached.steps:
            raise OptimizerError(f"Task {self.name!r} has not taken an optimizer step: there is nothing to commit.")
        attached.learned.require(self.name, attached.steps)
        with enough_memory(f"commit the task {self.name!r}, which is not in the store"):
            self._require_held()
            self._weights.own_model(self.model)
            self._weights.require_same_layout()
            moved = attached.finish()
            self._weights.require_finite()
            if moved:
                self._warn_of_moved(moved)
            found = self._settled(attached)
            attached.seen.stop()
            require_same(attached.model, found.loaded, attached.seen.calls)
            metrics, data = told(metrics, found.loaded), told(data, found.loaded)
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
                seconds=round(seconds, 3),
                parents=found.parents,
                layers={layer.name: layer.to_json() for layer in attached.explain()},
                weights_sha256=found.sha256,
                history=attached.history().to_json() if history else None,
            )
            written = self._directory.append(
                record, found.content, carry=learner.carry(), after=self._known, layout=self._layout
            )  # the first task's head settles where heads go, and so what is shared
        try:
            self._trackers.end(figures_of(written))
            with suppress(OSError, StoreError):  # the task is in the store: what is left over does no harm
                self._directory.checkpoint(self.name).drop()
                if self._checkpoint is not None:
                    self._checkpoint.drop()
            self._committed = written
            self._close()
        except BaseException as error:  # Ctrl-C, say
            error.add_note(f"Task {self.name!r} is in the store all the same: it was committed before this.")
            raise
        return written

    def explain(self) -> tuple[LayerAccount, ...]:
        return super().explain() if self._committed is None else read_account(self._committed.layers)

    def _settled(self, attached: Attachment) -> Settled:
        """The task as it will lie in the store."""
        with undisturbed_generators(device_of(attached.model)):  # a new head draws its weights
            network = self._untrained(describe_head(self._head), named_tensors(attached.model), self._weights.fixed())
        return settled(self._weights, attached.masks(), network)

    def _require_held(self) -> None:
        """Raises StoreError where what earlier tasks hold is not, in this process, what it was at `begin`."""
        if digest(self._held.tensors(), {}) != self._held_sha256:
            raise StoreError(
                f"What the tasks before {self.name!r} hold has changed in this process's memory since the task was "
                "begun: a fault of the memory, or something wrote into it. Nothing was committed, and the store is as "
                "it was. Check the machine's memory and learn the task again."
            )

    def _warn_of_moved(self, names: list[str]) -> None:
        warnings.warn(
            f"Task {self.name!r}: {listed(names)} changed after the last optimizer step to what the task's sub-network "
            "does not hold, and is committed as the sub-network has it: figures measured before the commit are "
            "those of another network. To go back to an earlier epoch keep copy.deepcopy(task.state()) where "
            "task.settled, and task.load_state() it; of averages see docs/training.md.",
            stacklevel=3,
        )

    def abandon(self) -> None:
        """Gives the task up: nothing is written, and the store is free for another. Harmless once committed."""
        if self._open:
            self._close()

    def _close(self) -> None:
        """Lets go of all that only training needs, and of the store."""
        self._open = False
        self._fits.forget()
        self._trackers.end(None)
        if self._attached is not None:
            self._attached.let_go()
        self._attached = self._checkpoint = self._carry = None
        self._trackers = Trackers()
        del self._weights, self._held, self._untrained, self._head
        for param in self.model.parameters():
            param.grad = None
        self._lock.release()

    def _require_open(self) -> None:
        if not self._open:
            raise NarrowsError(f"Task {self.name!r} was committed or abandoned; begin another.")

    def _require_attached(self) -> Attachment:
        self._require_open()
        return super()._require_attached()
