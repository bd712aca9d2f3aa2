"""A task's network out of the store's: its head put in, then its weights. The one way, for `load` and for `commit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from narrows.tasks.copying import copied, unwrapped
from narrows.tasks.heads import build_head, put_head
from narrows.tasks.partition import assign, named_tensors


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


def fill(model: nn.Module, shared: Mapping[str, Tensor], private: Mapping[str, Tensor]) -> nn.Module:
    """Puts a task's weights into its network, which is in eval mode then. ModelMismatchError: they do not fit."""
    present = named_tensors(model)
    own = {name: value for name, value in shared.items() if name in present and name not in private}
    assign(model, {**private, **own})
    return model.eval()
