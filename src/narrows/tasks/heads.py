"""The module that a task brings of its own: put in, written down, built again."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from narrows.errors import ModelMismatchError

Head = tuple[str, nn.Module]


def put_head(model: nn.Module, head: Head) -> None:
    """Puts the module at its path (dotted) in the model, which must have one there; ModelMismatchError otherwise."""
    path, module = head
    require_place(model, path)
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def require_place(model: nn.Module, path: str) -> None:
    """Raises ModelMismatchError where the path leads to no module; says which there are."""
    if not path or path not in dict(model.named_modules(remove_duplicate=False)):
        known = ", ".join(repr(known) for known, _ in model.named_children()) or "none"
        raise ModelMismatchError(f"The model has no module {path!r} to put the head at. Its modules: {known}.")


def describe_head(head: Head | None) -> dict[str, Any] | None:
    """What is written down of a head. `nn.Linear` is built again from it; another module must be given."""
    if head is None:
        return None
    path, module = head
    if type(module) is nn.Linear:
        return {
            "path": path,
            "kind": "Linear",
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.bias is not None,
        }
    return {"path": path, "kind": "custom", "type": type(module).__qualname__}


def build_head(task: str, described: dict[str, Any], given: nn.Module | None, dtype: torch.dtype | None) -> Head:
    """The head of a stored task, its values still to be loaded; `dtype` is that of its weight.

    Raises:
        ModelMismatchError: it is no `nn.Linear` and was not given.
    """
    path = described["path"]
    if given is not None:
        return path, given
    if described["kind"] == "Linear":
        linear = nn.Linear(described["in_features"], described["out_features"], bias=described["bias"], dtype=dtype)
        return path, linear
    raise ModelMismatchError(
        f"The head of task {task!r} is a {described['type']}, which the store cannot build by itself: "
        f"give one like it, store.load({task!r}, head={described['type']}(...))."
    )
