"""The module that a task brings of its own: put in, written down, built again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from narrows.errors import DamagedStoreError, ModelMismatchError

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


def build_head(task: str, described: dict[str, Any], given: nn.Module | None, private: Mapping[str, Tensor]) -> Head:
    """The head of a stored task, its values, which are among the `private` tensors, still to be loaded.

    Raises:
        ModelMismatchError: it is no `nn.Linear` and was not given.
        DamagedStoreError: the description is not one that narrows writes, or does not fit the tensors.
    """
    path, kind = described.get("path"), described.get("kind")
    name = described.get("type")
    if not isinstance(path, str) or kind not in ("Linear", "custom") or (kind == "custom" and not isinstance(name, str)):
        raise _unfit(task, described)
    if given is not None:
        return path, given
    if kind == "custom":
        raise ModelMismatchError(
            f"The head of task {task!r} is a {name}, which the store cannot build by itself: "
            f"give one like it, store.load({task!r}, head={name}(...))."
        )
    sizes, weight = (described.get("in_features"), described.get("out_features")), private.get(f"{path}.weight")
    if weight is None or weight.dim() != 2 or not weight.is_floating_point() or sizes != tuple(weight.shape)[::-1]:
        raise _unfit(task, described)
    return path, nn.Linear(*weight.shape[::-1], bias=bool(described.get("bias")), dtype=weight.dtype)


def _unfit(task: str, described: dict[str, Any]) -> DamagedStoreError:
    return DamagedStoreError(
        f"the record of task {task!r} describes its head as {str(described)[:200]}, which does not fit its tensors or is "
        "not as narrows writes it; restore the store from a backup"
    )
