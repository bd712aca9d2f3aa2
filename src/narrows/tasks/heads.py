"""The module that a task brings of its own: found, put in, written down, built again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError, DamagedStoreError, ModelMismatchError
from narrows.factories import Factory
from narrows.factories.trust import build_trusted
from narrows.store import TaskRecord
from narrows.training.device import device_of, to_device
from narrows.training.evaluation import evaluating


class Head(NamedTuple):
    """A task's own module, and its place in the model.

    `TaskStore.begin` takes one, too, where the place is not the store's: it was made without `head`, say.
    """

    path: str
    module: nn.Module
    factory: Factory | None = None


def like_head(model: nn.Module, path: str, given: int | nn.Module | Factory) -> Head:
    """A head at `path`: the module given, or what a factory makes, or an `nn.Linear` of so many outputs.

    An `nn.Linear` is of the inputs, the dtype and the bias that the model's has. Initial weights are drawn from torch's
    generator.

    Raises:
        ConfigError: that is no number of outputs.
        ModelMismatchError: a number was given and the model's module at `path` is no `nn.Linear`.
        ModelBuildError: the factory is not there, or its call fails.
    """
    require_place(model, path)
    if isinstance(given, Factory):
        return Head(path, given.build(int(torch.randint(2**31, ()))), given)
    if isinstance(given, nn.Module):
        return Head(path, given)
    if type(given) is not int or given < 1:
        raise ConfigError(
            f"A head is a module, a narrows.Factory, or its number of outputs, 1 or more; {given!r} is neither."
        )
    present = model.get_submodule(path)
    if not isinstance(present, nn.Linear):
        raise ModelMismatchError(
            f"The model's head at {path!r} is a {type(present).__name__}: a number of outputs is enough for an "
            "nn.Linear alone. Give a module or a narrows.Factory, store.begin(name, method, head=...), or make the "
            "store with the path of the last nn.Linear as its head."
        )
    bias, dtype = present.bias is not None, present.weight.dtype
    return Head(path, nn.Linear(present.in_features, given, bias=bias, dtype=dtype))


def put_head(model: nn.Module, head: Head) -> None:
    """Puts the module at its path (dotted) in the model, which must have one there; ModelMismatchError otherwise."""
    require_place(model, head.path)
    parent, _, name = head.path.rpartition(".")
    setattr(model.get_submodule(parent), name, head.module)


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
    """What is written down of a head: enough to build an `nn.Linear` again, or what a factory makes."""
    if head is None:
        return None
    module = head.module
    if type(module) is nn.Linear:
        return {
            "path": head.path,
            "kind": "Linear",
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.bias is not None,
        }
    described = {"path": head.path, "kind": "custom", "type": type(module).__qualname__}
    return described | ({} if head.factory is None else head.factory.to_json())


def made_head(
    record: TaskRecord, private: Mapping[str, Tensor], store: str | os.PathLike[str], trust: bool
) -> nn.Module | None:
    """What the factory of a stored task's head makes, its values still to be loaded; None where it has no factory.

    Raises:
        UntrustedModelError: nobody has said that the factory may be called; nothing was imported.
        ModelBuildError: it is not there, or its call fails.
        ModelMismatchError: it is one of our networks, and larger than the head that is stored.
        DamagedStoreError: the description is not one that narrows writes.
    """
    head = record.head or {}
    if head.get("kind") != "custom" or not head.keys() & {"factory", "arguments"}:
        return None
    try:
        factory = Factory.from_json({key: head[key] for key in ("factory", "arguments") if key in head})
    except ConfigError as error:
        raise _unfit(record.name, head) from error
    inside = (tensor for name, tensor in private.items() if name.startswith(f"{head.get('path')}."))
    most = sum(tensor.numel() * tensor.element_size() for tensor in inside)
    return build_trusted(factory, store, trust, f"the head of task {record.name!r}", most=most)


def build_head(task: str, described: dict[str, Any], given: nn.Module | None, private: Mapping[str, Tensor]) -> Head:
    """The head of a stored task, its values, which are among the `private` tensors, to come.

    Raises:
        ModelMismatchError: it is no `nn.Linear` and was not given.
        DamagedStoreError: the description is not one that narrows writes, or does not fit the tensors.
    """
    path, kind, name = (described.get(key) for key in ("path", "kind", "type"))
    if not isinstance(path, str) or kind not in ("Linear", "custom") or not isinstance(name, str | None):
        raise _unfit(task, described)
    if given is not None:
        return Head(path, given)
    if kind == "custom":
        raise ModelMismatchError(
            f"The head of task {task!r} is a {name}, which the store cannot build by itself: "
            f"give one like it, store.load({task!r}, head={name}(...)). What begin is given as a narrows.Factory is "
            "built by itself."
        )
    sizes, weight = (described.get("in_features"), described.get("out_features")), private.get(f"{path}.weight")
    if weight is None or weight.dim() != 2 or not weight.is_floating_point() or sizes != tuple(weight.shape)[::-1]:
        raise _unfit(task, described)
    outputs, inputs = weight.shape
    return Head(path, nn.Linear(inputs, outputs, bias=bool(described.get("bias")), dtype=weight.dtype))


def _unfit(task: str, described: dict[str, Any]) -> DamagedStoreError:
    return DamagedStoreError(
        f"the record of task {task!r} describes its head as {str(described)[:200]}, which does not fit its tensors "
        "or is not as narrows writes it; restore the store from a backup"
    )
