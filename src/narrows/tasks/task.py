"""A task in progress: its model, the wrapped optimizer, and the commit that makes it part of the store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from torch import Tensor, nn

from narrows.errors import OptimizerError, StoreError
from narrows.memory import enough_memory
from narrows.methods import Extent, Learner, Method
from narrows.store import StoreDirectory, TaskRecord
from narrows.store.lock import StoreLock
from narrows.subnet import Held, TensorSpec, digest
from narrows.tasks.account import LayerAccount, account, figures_of, read_account
from narrows.tasks.heads import Head, describe_head
from narrows.tasks.partition import named_tensors
from narrows.tasks.sameness import require_same
from narrows.tasks.settling import Settled, Told, settled, told
from narrows.tasks.weights import TaskWeights, listed
from narrows.training.attachment import Attachment
from narrows.training.device import device_of
from narrows.training.fit import fit
from narrows.training.optimizers import require_one_device
from narrows.training.randomness import undisturbed_generators
from narrows.training.task_in_progress import TaskInProgress
from narrows.training.tracking import Trackers

Untrained = Callable[[dict[str, Any] | None, Mapping[str, Tensor], Collection[str]], nn.Module]
"""Of (description of the head, private tensors, names): a fresh network of the store, the head in its place.

It has the base network's values in the tensors of these names, and zeros in what tasks share."""


class Task(TaskInProgress):
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
        lock: StoreLock,
        held: Held,
        carry: Mapping[str, Tensor] | None,
    ) -> None:
        super().__init__(name, model, method)
        self._head = head
        self._untrained = untrained
        self._directory = directory
        self._layout = (specs, private)
        self._lock = lock
        self._held = held
        self._held_sha256 = digest(held.tensors(), {})
        self._known = directory.task_names()
        self._carry = carry
        self._committed: TaskRecord | None = None
        isolated = method.isolation == "shared"
        self._weights = TaskWeights(model, head and head.path, specs, held, isolated=isolated)
        shared = self._weights.shared()
        self._trained |= set(shared.names)
        method.check(shared)
        method.initialise(shared, carry)

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    fit = fit

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
        learner, seconds = attached.learner, self.fits.seconds if self.fits.done else attached.seconds
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
                layers={layer.name: layer.to_json() for layer in self.explain()},
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
        """What the task keeps of each layer at this moment and, where the method measures it, how many nats.

        Raises:
            OptimizerError: there is no optimizer yet, and so nothing chosen.
        """
        if self._committed is not None:
            return read_account(self._committed.layers)
        attached = self._require_attached()
        return account(*self._masks(attached.learner), attached.learner.explain())

    def _masks(self, learner: Learner) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weights the task uses, and those of them that it claims."""
        names = learner.shared.names
        return self._weights.whole(names, learner.masks), self._weights.whole(names, learner.claims)

    def _own_model(self) -> nn.Module:
        model = self._weights.own_model(self.model)
        require_one_device(model)
        self._weights.require_same_layout()
        return model

    def _new_learner(self, extent: Extent) -> Learner:
        return self.method.learner(self._weights.shared(), extent, self._carry)

    def _settled(self, attached: Attachment) -> Settled:
        """The task as it will lie in the store."""
        with undisturbed_generators(device_of(attached.model)):  # a new head draws its weights
            network = self._untrained(describe_head(self._head), named_tensors(attached.model), self._weights.fixed())
        return settled(self._weights, self._masks(attached.learner), network)

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
        self.fits.forget()
        self._trackers.end(None)
        if self._attached is not None:
            self._attached.let_go()
        self._attached = self._checkpoint = self._carry = None
        self._trackers = Trackers()
        del self._weights, self._held, self._untrained, self._head
        for param in self.model.parameters():
            param.grad = None
        self._lock.release()
