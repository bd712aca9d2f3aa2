"""What a model is called with while it is trained, kept so that another network can be asked the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments of a call."""


class SeenInputs:
    """Keeps what a model is first called with, and what in the first call after `again`; else the model is as it was.

    The first alone may be a batch that shows nothing: zeros, or a warming up. Under `torch.compile` nothing is seen:
    there the hook would become part of the graph.

    Attributes:
        calls: what was kept, at most two.
    """

    def __init__(self, model: nn.Module) -> None:
        calls: list[Inputs] = []
        waiting: list[Any] = []

        # A function and no method: a copy of the model, for an average say, must not take this task along.
        def note(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            if not torch.compiler.is_compiling() and waiting:
                waiting.pop().remove()
                calls[1:] = [copied_tensors((arguments, keywords), None)]

        self.calls, self._waiting, self._model, self._note = calls, waiting, model, note
        self.again()

    def again(self) -> None:
        """Keeps the next call, too, in the place of the last but the first."""
        if not self._waiting:
            self._waiting.append(self._model.register_forward_pre_hook(self._note, with_kwargs=True))

    def stop(self) -> None:
        """Waits no longer for a call."""
        while self._waiting:
            self._waiting.pop().remove()

    def let_go(self) -> None:
        """Forgets what was seen, too."""
        self.stop()
        self.calls.clear()


def copied_tensors(value: Any, device: torch.device | None) -> Any:
    """`value` with every tensor in it detached and, with a device, copied there."""
    if isinstance(value, Tensor):
        return value.detach() if device is None else value.to(device, copy=True)
    if isinstance(value, Mapping) and type(value) is dict:
        return {key: copied_tensors(part, device) for key, part in value.items()}
    if isinstance(value, list):
        return [copied_tensors(part, device) for part in value]
    if isinstance(value, tuple):
        parts = [copied_tensors(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
