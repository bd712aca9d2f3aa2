"""A task's network out of the store's: its head put in, then its weights. The one way, for `load` and for `commit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError
from narrows.subnet import SubNetwork, put_
from narrows.tasks.heads import build_head, put_head
from narrows.tasks.module_copy import copied, unwrapped
from narrows.tasks.partition import assign, named_tensors, require_match
from narrows.training.device import require_device


def place_head(
    model: nn.Module,
    task: str,
    described: dict[str, Any] | None,
    given: nn.Module | None,
    private: Mapping[str, Tensor],
) -> nn.Module:
    """Puts the head of `task` into the base network, its values still to come; see `build_head`."""
    if described is not None:
        given = None if given is None else copied(unwrapped(given))
        put_head(model, build_head(task, described, given, private))
    return model


def fill(model: nn.Module, subnet: SubNetwork, private: Mapping[str, Tensor]) -> nn.Module:
    """Puts a task's weights into its network, which is in eval mode then. ModelMismatchError: they do not fit.

    Args:
        model: with zeros in what tasks share, the head aside.
        subnet: needs no other task (`Composition.resolve`).
    """
    present = named_tensors(model)
    shared = [spec for spec in subnet.specs if spec.name in present and spec.name not in private]
    expected = {spec.name: torch.empty(spec.shape, dtype=spec.torch_dtype(), device="meta") for spec in shared}
    require_match({name: present[name] for name in expected}, expected)
    assign(model, private)
    put_({name: subnet.parts[name] for name in expected}, present)
    return model.eval()


def moved(model: nn.Module, device: torch.device | str | None, dtype: torch.dtype | None) -> nn.Module:
    """The model itself, on the device and its floating-point tensors in the dtype, where either is said.

    Raises:
        ConfigError: there is no such device here, or it is no dtype of floating-point numbers that networks have.
    """
    convert = {
        None: lambda: None,
        torch.bfloat16: model.bfloat16,
        torch.float16: model.half,
        torch.float32: model.float,
        torch.float64: model.double,
    }
    if dtype not in convert:
        known = ", ".join(str(known) for known in convert if known is not None)
        raise ConfigError(f"A network cannot be loaded as {dtype}: dtype is one of {known}.")
    if device is not None:
        require_device(device)
    convert[dtype]()  # before it is moved: there is less to move then
    return model if device is None else model.to(device)
