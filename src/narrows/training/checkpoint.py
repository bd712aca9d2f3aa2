"""A training in progress that can be kept and gone on with: what is in a checkpoint.

It does not know where checkpoints lie: that is up to a `Checkpoint`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from narrows.errors import ConfigError
from narrows.training.early_stopping import EarlyStopping
from narrows.training.optimizer_steps import OptimizerSteps
from narrows.training.position import Position
from narrows.training.task_in_progress import TaskInProgress
from narrows.training.trees import Tree, from_tree, to_tree

FORMAT = 4
"""Of the tree; another one is not gone on with."""


class Checkpoint(Protocol):
    """A place for one tree; `narrows.training.trees` says what a tree is.

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
    ...             print(task.fit(batches, narrows.Training(5), checkpoint=kept, callbacks=callbacks).steps, "steps")
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


class TrainingState:
    """All that training consists of, as one tree.

    Args:
        steps: what takes its steps.
        checkpoint: where it is kept.
        plan: what was asked for, plain values; a checkpoint of another plan is refused.
    """

    def __init__(
        self,
        task: TaskInProgress,
        steps: OptimizerSteps,
        stopping: EarlyStopping | None,
        checkpoint: Checkpoint,
        plan: Mapping[str, Any],
    ) -> None:
        self._checkpoint = checkpoint
        self._parts: dict[str, TaskInProgress | OptimizerSteps | EarlyStopping] = {"task": task, "steps": steps}
        if stopping is not None:
            self._parts["stopping"] = stopping
        self._plan = _plain({"format": FORMAT, **plan})

    def save(self, at: Position) -> None:
        """Keeps everything as it is at this boundary between two steps."""
        parts = {name: part.state() for name, part in self._parts.items()}
        self._checkpoint.save(to_tree({"plan": self._plan, "position": at.state(), **parts}, "the checkpoint"))

    def load(self) -> dict[str, Any] | None:
        """Puts everything back but the position, which is returned: training goes on from it. None: nothing is kept.

        Raises:
            ConfigError: what is kept is of another plan; names what differs.
        """
        tree = self._checkpoint.load()
        if tree is None:
            return None
        state = from_tree(tree)
        self._require_same(state.get("plan") if isinstance(state, dict) else None)
        try:
            for name, part in self._parts.items():
                part.load_state(state[name])
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
