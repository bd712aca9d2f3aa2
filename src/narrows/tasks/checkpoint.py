"""A training in progress that can be kept and gone on with: what is in a checkpoint, and when one is made.

It does not know where checkpoints lie: that is up to a `Checkpoint`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from narrows.errors import ConfigError
from narrows.tasks.signals import StopSignals
from narrows.tasks.stopping import EarlyStopping, Learning
from narrows.tasks.trees import Tree, from_tree, place_optimizer_state, to_tree
from narrows.training import Position, Recorder, Trackers

FORMAT = 3
"""Of the tree; another one is not gone on with."""


class Checkpoint(Protocol):
    """A place for one tree; `narrows.tasks.trees` says what a tree is.

    >>> import copy, tempfile, torch, narrows
    >>> class InMemory:
    ...     tree = None
    ...     def load(self): return self.tree
    ...     def save(self, tree): self.tree = copy.deepcopy(tree)
    ...     def drop(self): self.tree = None
    >>> kept, batches = InMemory(), [(torch.randn(8, 4), torch.arange(8) % 2)]
    >>> def stop(step):
    ...     if step.step == 3:
    ...         raise narrows.errors.Interrupted
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", torch.nn.Linear(4, 2))
    >>> for callbacks in ([stop], []):
    ...     with store.begin("task", narrows.Finetune()) as task:
    ...         try:
    ...             print(task.fit(batches, 5, checkpoint=kept, callbacks=callbacks).steps, "steps")
    ...         except narrows.errors.Interrupted:
    ...             print("interrupted")
    interrupted
    5 steps
    """

    def load(self) -> Tree | None:
        """The tree saved last, or None where there is none. Tensors may lie anywhere."""

    def save(self, tree: Tree, /) -> None:
        """Keeps `tree` in the place of the last one, wholly or not at all.

        Its tensors are live: what is needed of them must be copied or written before this returns.
        """

    def drop(self) -> None:
        """Forgets the tree; harmless where there is none."""


class Training:
    """All that training consists of, as one tree.

    Args:
        checkpoint: where it is kept.
        plan: what was asked for, plain values; a checkpoint of another plan is refused.
    """

    def __init__(
        self,
        task: Learning,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None,
        stopping: EarlyStopping | None,
        checkpoint: Checkpoint,
        plan: Mapping[str, Any],
    ) -> None:
        self._checkpoint = checkpoint
        self._task, self._optimizer, self._scheduler, self._stopping = task, optimizer, scheduler, stopping
        self._plan = _plain({"format": FORMAT, **plan})

    def save(self, at: Position) -> None:
        """Keeps everything as it is at this boundary between two steps."""
        tree = to_tree(
            {
                "plan": self._plan,
                "position": at.state(),
                "task": self._task.state(),
                "optimizer": self._optimizer.state_dict(),
                "scheduler": None if self._scheduler is None else self._scheduler.state_dict(),
                "stopping": None if self._stopping is None else self._stopping.state(),
            },
            "the checkpoint",
        )
        self._checkpoint.save(tree)

    def load(self) -> dict[str, Any] | None:
        """Puts everything back but the position, which is returned: `train` goes on from it. None: nothing is kept.

        Raises:
            ConfigError: what is kept is of another plan; names what differs.
        """
        tree = self._checkpoint.load()
        if tree is None:
            return None
        state = from_tree(tree)
        self._require_same(state.get("plan") if isinstance(state, dict) else None)
        try:
            self._task.load_state(state["task"])
            place_optimizer_state(self._optimizer, state["optimizer"])
            if self._scheduler is not None:
                self._scheduler.load_state_dict(state["scheduler"])
            if self._stopping is not None:
                self._stopping.load_state(state["stopping"])
            position: dict[str, Any] = state["position"]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ConfigError(
                f"The checkpoint is of this training and lacks what it needs ({error!r}): another version of narrows "
                "wrote it. Drop it, and begin the task anew."
            ) from error
        return position

    def _require_same(self, plan: Any) -> None:
        if not isinstance(plan, dict):
            raise ConfigError("The checkpoint is none of a task in progress. Drop it, and begin the task anew.")
        differ = [
            f"{key} was {_short(plan.get(key))} and is {_short(self._plan.get(key))}"
            for key in sorted({*plan, *self._plan})
            if plan.get(key) != self._plan.get(key)
        ]
        if differ:
            raise ConfigError(
                "The checkpoint is of another training: " + "; ".join(differ) + ". To go on with it, train as it was "
                "begun; to begin anew, drop the checkpoint."
            )


class Keeper:
    """Looks on at training: measures after each epoch, saves from time to time, and stops it where a signal asks.

    Args:
        recorder: what is told losses and scores.
        trackers: are told the same.
        training: what to save; None: nothing.
        every: seconds between two saves within an epoch.
        signals: those that came meanwhile.
    """

    def __init__(
        self,
        training: Training | None,
        stopping: EarlyStopping | None,
        every: float,
        signals: StopSignals,
        recorder: Recorder,
        trackers: Trackers,
    ) -> None:
        self._recorder, self._trackers = recorder, trackers
        self._training, self._stopping = training, stopping
        self._every, self._signals = every, signals
        self._saved = time.monotonic()

    @property
    def done(self) -> bool:
        return self._stopping is not None and self._stopping.done

    def after_step(self, at: Position, /) -> None:
        self._record(at)
        if self._signals.received or time.monotonic() - self._saved >= self._every:
            self._save(at)

    def after_epoch(self, at: Position, /) -> None:
        if self._stopping is not None:
            self._stopping.look()
            score = self._stopping.scores[-1]
            self._trackers.score(self._recorder.score(score), score)
        self._save(at)

    def interrupted(self, at: Position, /) -> None:
        self._record(at)
        if not self._signals.forced:
            self._save(at)

    def _record(self, at: Position) -> None:
        point = self._recorder.complete(at.running.recent)
        if point is not None:
            self._trackers.log(point)

    def _save(self, at: Position) -> None:
        if self._training is not None:
            self._training.save(at)
            self._saved = time.monotonic()
        if self._signals.received:
            self._signals.act()


def _plain(plan: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it, so that a plan written down and read again is equal to itself."""
    plain: dict[str, Any] = json.loads(json.dumps(plan, default=_name))
    return plain


def _name(value: Any) -> Any:
    if isinstance(value, Tensor | np.generic):
        return value.tolist()
    return str(value) if isinstance(value, torch.dtype) else getattr(value, "__qualname__", type(value).__qualname__)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
