"""The module that a task brings of its own: found, put in, written down, built again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError, DamagedStoreError, ModelMismatchError
from narrows.training.device import device_of, to_device
from narrows.training.evaluation import evaluating

Head = tuple[str, nn.Module]


def like_head(model: nn.Module, path: str, given: int | nn.Module) -> Head:
    """A head at `path`: the module given, or an `nn.Linear` of so many outputs, of the inputs that the model's has.

    Raises:
        ConfigError: that is no number of outputs.
        ModelMismatchError: a number was given and the model's module at `path` is no `nn.Linear`.
    """
    require_place(model, path)
    if isinstance(given, nn.Module):
        return path, given
    if type(given) is not int or given < 1:
        raise ConfigError(f"A head is a module or its number of outputs, 1 or more; {given!r} is neither.")
    present = model.get_submodule(path)
    if type(present) is not nn.Linear:
        raise ModelMismatchError(
            f"The model's head at {path!r} is a {type(present).__name__}: a number of outputs is enough for an "
            "nn.Linear alone; give a module."
        )
    bias, dtype = present.bias is not None, present.weight.dtype
    return path, nn.Linear(present.in_features, given, bias=bias, dtype=dtype)


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


def find_head(model: nn.Module, inputs: Any = None) -> str:
    """The path of the head that a trained model has already: its last fully connected layer.

    Without `inputs` that is the `nn.Linear` that was registered last, whatever the forward does. With `inputs`, what
    the model takes, the model is run once (in eval mode, without gradients), and the head is the `nn.Linear` whose
    output is the model's own output, untouched by anything after it.

    Raises:
        ModelMismatchError: there is no such layer; says what to do.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> find_head(model), find_head(model, torch.zeros(1, 4))
    ('2', '2')
    """
    # The projection of nn.MultiheadAttention is an nn.Linear by its class only: it is never called as a module.
    uncalled = nn.modules.linear.NonDynamicallyQuantizableLinear
    layers: dict[str, nn.Linear] = {
        path: module
        for path, module in model.named_modules()
        if path and isinstance(module, nn.Linear) and not isinstance(module, uncalled)
    }
    if not layers:
        raise ModelMismatchError(
            "The model has no nn.Linear to take for its head: say where the head is, as head='classifier.1'."
        )
    if inputs is None:
        return list(layers)[-1]
    found = _last_to_speak(model, layers, inputs)
    if found is None:
        raise ModelMismatchError(
            "No nn.Linear gives the model's output as it is: something follows the last one, or it is used as a "
            f"function. Say where the head is, as head={list(layers)[-1]!r}."
        )
    return found


@torch.no_grad()
def _last_to_speak(model: nn.Module, layers: dict[str, nn.Linear], inputs: Any) -> str | None:
    """The layer whose output the model returned, or None."""
    outputs: dict[str, Any] = {}

    def note(path: str, _: nn.Module, __: Any, output: Any) -> None:
        outputs[path] = output

    hooks = [layer.register_forward_hook(partial(note, path)) for path, layer in layers.items()]
    try:
        with evaluating(model):
            result = model(to_device(inputs, device_of(model)))
    finally:
        for hook in hooks:
            hook.remove()
    return next((path for path, output in outputs.items() if output is result), None)


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
    path, kind, name = (described.get(key) for key in ("path", "kind", "type"))
    if not isinstance(path, str) or kind not in ("Linear", "custom") or not isinstance(name, str | None):
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
    outputs, inputs = weight.shape
    return path, nn.Linear(inputs, outputs, bias=bool(described.get("bias")), dtype=weight.dtype)


def _unfit(task: str, described: dict[str, Any]) -> DamagedStoreError:
    return DamagedStoreError(
        f"the record of task {task!r} describes its head as {str(described)[:200]}, which does not fit its tensors "
        "or is not as narrows writes it; restore the store from a backup"
    )
