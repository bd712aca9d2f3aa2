"""How a task is trained, as one value: all that can be said of it before there are data or a task."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NoReturn, get_args

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from narrows.errors import ConfigError
from narrows.training.batch import Loss

Amp = Literal["bfloat16", "float16"]
RateSchedule = Literal["cosine", "constant"] | Callable[[torch.optim.Optimizer, int], LRScheduler]


@dataclass(frozen=True)
class Training:
    """How a task is trained, for `Task.fit` and `narrows.adopt`. ConfigError where a value is out of its range.

    Attributes:
        epochs: passes over the batches, at least 1.
        lr: learning rate; default: the method's own (`task.method.learning_rate`).
        optimizer: class of the optimizer.
        options: what its class is given besides, `{"weight_decay": 1e-2}`, say.
        schedule: of the learning rate: "cosine" falls to 0 over the task, "constant" stays; or a function that makes
            an LR scheduler of (optimizer, number of its steps), stepped after each step.
        examples, batch_size: of the data, one batch; read from a `DataLoader` by default. `narrows.adopt` makes batches
            of that size where it is given data and no batches.
        steps_per_epoch: batches of an epoch, for streams: an epoch ends after as many, and nothing is counted. An
            iterator is drawn on from epoch to epoch.
        amp: what forward and loss are computed in, by autocast; default: as the network is. "float16" scales the loss
            (`torch.amp.GradScaler`) and passes over steps whose gradients are not finite. Weights stay in float32, and
            measuring is done in the network's own precision.
        clip: the largest norm of the network's gradient, over all its parameters; a longer one is shortened to it.
        accumulate: batches that an optimizer step averages over, each weighing the same; the last step of an epoch
            has those that are left. They are drawn together.
        patience: stop when so many epochs have passed without a better score than the best settled one; asks for
            validation data.
        loss: of (outputs, targets), a mean over the batch; cross-entropy by default, any for regression.

    >>> import tempfile, narrows
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", nn.Linear(4, 2))
    >>> batches = [(torch.randn(8, 4), torch.arange(8) % 2)] * 5
    >>> training = Training(epochs=3, lr=1e-2, amp="bfloat16", clip=1.0, accumulate=2)
    >>> with store.begin("task", narrows.Finetune()) as task:
    ...     task.fit(batches, training).steps
    9
    """

    epochs: int
    lr: float | None = None
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: RateSchedule = "cosine"
    examples: int | None = None
    batch_size: int | None = None
    steps_per_epoch: int | None = None
    amp: Amp | None = None
    clip: float | None = None
    accumulate: int = 1
    patience: int | None = None
    loss: Loss = nn.functional.cross_entropy

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(self.options))
        for name in ("epochs", "examples", "batch_size", "steps_per_epoch", "accumulate", "patience"):
            self._require_count(name, optional=name not in ("epochs", "accumulate"))
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < float(value) < math.inf:
                self._refuse(name, "a number above 0")
        if self.amp is not None and self.amp not in get_args(Amp):
            self._refuse("amp", "'bfloat16', 'float16', or None for the network's own precision")
        if self.schedule not in ("cosine", "constant") and not callable(self.schedule):
            self._refuse("schedule", "'cosine', 'constant', or a function of (optimizer, steps) that makes a scheduler")
        for name, what in (("loss", "a function of (outputs, targets)"), ("optimizer", "a class of optimizers")):
            if not callable(getattr(self, name)):
                self._refuse(name, what)
        self._require_options()

    def steps(self, batches: int) -> int:
        """Optimizer steps of all epochs of so many batches."""
        return self.epochs * math.ceil(batches / self.accumulate)

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler | None:
        """That of the learning rate, over so many steps; None where it stays."""
        if callable(self.schedule):
            return self.schedule(optimizer, steps)
        return CosineAnnealingLR(optimizer, T_max=steps) if self.schedule == "cosine" else None

    def terms(self) -> dict[str, Any]:
        """What is written down of it with a task or a run: epochs, learning rate, and what is not said by default."""
        more = {"amp": self.amp, "clip": self.clip, "accumulate": self.accumulate}
        said = {name: value for name, value in more.items() if value not in (None, 1)}
        return {"epochs": self.epochs, "lr": self.lr, **said}

    def plain(self) -> dict[str, Any]:
        """Its values by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def _require_count(self, name: str, *, optional: bool) -> None:
        value = getattr(self, name)
        if value is None and optional:
            return
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
            self._refuse(name, "a whole number, at least 1")

    def _require_options(self) -> None:
        if "lr" in self.options:
            raise ConfigError("Training.options has lr, which is a value of its own: say lr=...")
        taken = inspect.signature(self.optimizer).parameters
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
            return
        for name in self.options:
            if name not in taken:
                kind = getattr(self.optimizer, "__name__", "the optimizer")
                raise ConfigError(
                    f"Training.options has {name!r}, which {kind} does not take. It takes "
                    f"{', '.join(list(taken)[1:])}; what else can be said of training: {', '.join(self.plain())}."
                )

    def _refuse(self, name: str, wanted: str) -> NoReturn:
        raise ConfigError(f"{name} must be {wanted}; got {getattr(self, name)!r} (narrows.Training).")
