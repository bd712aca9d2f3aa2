"""The optimizer's steps: the loss of one batch or several, scaled and clipped, the step itself, the learning rate.

Knows a model, an optimizer and how they are to be trained; it does not know where training stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError
from narrows.training.batch import loss_of, pair
from narrows.training.device import device_of
from narrows.training.trees import place_optimizer_state
from narrows.training.value import Training

Sample = Callable[[], AbstractContextManager[None]]


class OptimizerSteps:
    """Takes the steps of one training.

    Args:
        batches: of an epoch.

    Attributes:
        total: steps that were planned; the learning rate keeps to them.
        lr: of the last step, in the optimizer's first group.

    Raises:
        ConfigError: float16 for weights that are in it already: too coarse to be trained.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, training: Training, batches: int) -> None:
        self.training, self.total = training, training.steps(batches)
        self._model, self._optimizer = model, optimizer
        self._scheduler = training.scheduler(optimizer, self.total)
        self._device = device_of(model)
        self._scaler: torch.amp.GradScaler | None = None
        if training.amp == "float16":
            if any(param.dtype == torch.float16 for param in model.parameters()):
                raise ConfigError(
                    "amp='float16' computes in float16 and trains float32, and this network's weights are float16: "
                    "keep them in float32, or make the network bfloat16 and leave amp out."
                )
            self._scaler = torch.amp.GradScaler(self._device.type)
        self.lr = self._rate()

    def take(self, batches: Sequence[Any], sample: Sample, *, planned: bool) -> tuple[Tensor, bool]:
        """One step on all of the batches: the mean of their losses, and whether it was taken (see `Training.amp`).

        Args:
            sample: entered around each forward and backward.
            planned: whether it is one of `total`.

        Raises:
            DataError, ConfigError: see `narrows.training.batch`.
        """
        losses = [self._gradient(batch, len(batches), sample) for batch in batches]
        taken = self._step()
        self._optimizer.zero_grad()
        self.lr = self._rate()
        if self._scheduler is not None and planned and taken:
            self._scheduler.step()
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(), taken

    def begin(self) -> None:
        """Clears what was left half done before."""
        self._optimizer.zero_grad()

    def state(self) -> dict[str, Any]:
        """The optimizer's, its schedule's, the scale of the loss."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "scheduler": None if self._scheduler is None else self._scheduler.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `state()`, exactly."""
        place_optimizer_state(self._optimizer, state["optimizer"])
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state["scheduler"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])

    def _gradient(self, batch: Any, of: int, sample: Sample) -> Tensor:
        inputs, targets = pair(batch)
        with sample():
            with self._autocast():
                value = loss_of(self._model, self.training.loss, inputs, targets, self._device)
            part = value if of == 1 else value / of
            (part if self._scaler is None else self._scaler.scale(part)).backward()  # type: ignore[no-untyped-call]
        return value.detach()

    def _autocast(self) -> AbstractContextManager[Any]:
        amp = self.training.amp
        return nullcontext() if amp is None else torch.autocast(self._device.type, getattr(torch, amp))

    def _step(self) -> bool:
        if self._scaler is None:
            self._clip()
            self._optimizer.step()
            return True
        taken: list[bool] = []
        hook = self._optimizer.register_step_post_hook(lambda *_: taken.append(True))
        try:
            if self.training.clip is not None:
                self._scaler.unscale_(self._optimizer)
                self._clip()
            self._scaler.step(self._optimizer)
        finally:
            hook.remove()
        self._scaler.update()
        return bool(taken)

    def _clip(self) -> None:
        if self.training.clip is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), self.training.clip)

    def _rate(self) -> float:
        rate: float = self._optimizer.param_groups[0]["lr"]
        return rate
