"""All of a training in progress as one tree, kept from time to time, and what else is done between two steps.

It does not know where the tree lies: that is up to a `Checkpoint`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.errors import ConfigError
from narrows.training.checkpoint import Checkpoint
from narrows.training.early_stopping import EarlyStopping
from narrows.training.optimizer_steps import OptimizerSteps
from narrows.training.position import Position
from narrows.training.recording import Recorder
from narrows.training.stop_signals import StopSignals
from narrows.training.task_in_progress import TaskInProgress
from narrows.training.tracking import Trackers
from narrows.training.trees import from_tree, to_tree

FORMAT = 4
"""Of the tree; another one is not gone on with."""


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
        training: TrainingState | None,
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
        """Whether training ends here; asked before each epoch."""
        return self._stopping is not None and self._stopping.done

    def after_step(self, at: Position, /) -> None:
        """Called after each step and its callbacks."""
        self._record(at)
        if self._signals.received or time.monotonic() - self._saved >= self._every:
            self._save(at)

    def after_epoch(self, at: Position, /) -> None:
        """Called when an epoch is over."""
        if self._stopping is not None:
            self._stopping.look()
            score = self._stopping.scores[-1]
            self._trackers.score(self._recorder.score(score), score)
        self._save(at)

    def interrupted(self, at: Position, /) -> None:
        """Called where a callback raised KeyboardInterrupt or Interrupted, which goes on afterwards."""
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
