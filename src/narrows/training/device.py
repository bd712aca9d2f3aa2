"""Moving what a model takes to where the model is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter lies; the CPU where it has none."""
    return next((param.device for param in model.parameters()), torch.device("cpu"))


def require_device(device: torch.device | str) -> None:
    """Raises ConfigError where torch has no such device here."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"The device {str(device)!r} cannot be used here: {reason}") from error


def to_device(value: Any, device: torch.device) -> Any:
    """`value` with every tensor in it, in lists, tuples and dicts too, on `device`.

    >>> to_device({"ids": torch.zeros(2), "length": 2}, torch.device("cpu"))["length"]
    2
    """
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(part, device) for key, part in value.items()}
    if isinstance(value, list):
        return [to_device(part, device) for part in value]
    if isinstance(value, tuple):
        parts = [to_device(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
