"""A network that is in use turned from one task into another, in place: what `load` gives, without another copy.

Nothing is assumed of what the network holds: every tensor is written. What it is made of is held to the store's network
first, so that nothing is written into one that does not fit. Knows modules and tensors; it reads no files.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.store import TaskRecord
from narrows.subnet import Part, SubNetwork, TensorSpec, apply_
from narrows.tasks.heads import Head, build_head, put_head
from narrows.tasks.loading import moved
from narrows.tasks.module_copy import copied, require_plain, unwrapped
from narrows.tasks.partition import live_tensors, matches, named_tensors, require_match
from narrows.tasks.weights import listed
from narrows.training.device import device_of


@dataclass(frozen=True, eq=False)
class Stored:
    """A task as it is read for a switch.

    Attributes:
        subnet: its sub-network, with a value at all that it keeps.
        private: what it keeps for itself.
        base: what it has as the base network has it: neither shared nor private, and outside the head's place.
    """

    record: TaskRecord
    subnet: SubNetwork
    private: Mapping[str, Tensor]
    base: Mapping[str, Tensor]


def left_to_base(
    template: nn.Module, record: TaskRecord, private: Iterable[str], shared: Iterable[TensorSpec]
) -> set[str]:
    """The tensors that the task has as the base network has them."""
    known = {*private, *(spec.name for spec in shared)}
    return {name for name in named_tensors(template) if name not in known and not matches(name, _place(record))}


def switch(
    model: nn.Module, template: nn.Module, task: Stored, given: nn.Module | None, heads: Callable[[], Iterable[str]]
) -> None:
    """Has `model` hold the task, in eval mode.

    Args:
        template: the store's network.
        given: a module like the task's head, where that is no `nn.Linear`.
        heads: gives the paths where tasks of the store have heads; asked where the model differs from the store's
            network beside this task's head.

    Raises:
        ModelMismatchError: the model is made otherwise than the store's network, or what is given than the head.
        DamagedStoreError: the task's record describes a head that does not fit its tensors.
    """
    network = unwrapped(model)
    require_plain(network)
    others = _other_heads(network, template, _place(task.record), heads)
    outside = {name: one for name, one in live_tensors(template).items() if not matches(name, _place(task.record))}
    dtype = _converted(network, outside, others)
    head = _head(task, given)
    inside = {} if head is None else live_tensors(head.module)
    fitting = outside | {f"{head and head.path}.{name}": tensor for name, tensor in inside.items()}
    require_match({name: tensor for name, tensor in fitting.items() if name in task.private}, task.private)
    # From here on nothing is refused any more.
    for path in others:
        put_head(network, Head(path, _moved(_of_base(network, template, path), network, dtype)))
    if head is not None and (given is not None or not _serves(network, head, dtype)):
        put_head(network, Head(head.path, _moved(head.module, network, dtype)))
    _write(network, task, outside)
    network.eval()


def _place(record: TaskRecord) -> tuple[str, ...]:
    return () if record.head is None else (str(record.head.get("path")),)


def _other_heads(
    model: nn.Module, template: nn.Module, place: tuple[str, ...], heads: Callable[[], Iterable[str]]
) -> list[str]:
    """The outermost places where the model has the head of a task that has it elsewhere than this one."""
    differ = _differences(model, template, place)
    if not differ:
        return []
    modules = dict(template.named_modules())
    found = {path for path in heads() if path in modules and any(matches(name, [path]) for name in differ)}
    if unexplained := [said for name, said in differ.items() if not matches(name, tuple(found))]:
        raise ModelMismatchError(
            "The model cannot be switched to a task of this store, as it is made otherwise than the store's network: "
            + listed(unexplained, "; ")
            + ". Give what store.load gave, or a network built by the same code. Nothing of it was changed."
        )
    return [path for path in sorted(found) if not matches(path, tuple(found - {path}))]


def _differences(model: nn.Module, template: nn.Module, but: tuple[str, ...]) -> dict[str, str]:
    """Module or tensor -> how the two differ there, outside of `but`; in which floating-point dtype does not matter."""
    found: dict[str, str] = {}
    for ours, theirs in (
        ({path: type(module).__qualname__ for path, module in one.named_modules()} for one in (model, template)),
        ({name: _shape(tensor) for name, tensor in named_tensors(one).items()} for one in (model, template)),
    ):
        for name in sorted(ours.keys() | theirs.keys()):
            now, then = ours.get(name, "not there"), theirs.get(name, "not there")
            if now != then and not matches(name, but):
                found[name] = f"{name or 'the model itself'} is {now}, and {then} in the store's network"
    return found


def _shape(tensor: Tensor) -> str:
    return f"{'floating-point' if tensor.is_floating_point() else str(tensor.dtype)[6:]} {tuple(tensor.shape)}"


def _converted(model: nn.Module, stored: Mapping[str, Tensor], but: list[str]) -> torch.dtype | None:
    """What the model's floating-point tensors were all converted to; None where they are as the store has them."""
    now = {
        name: tensor.dtype
        for name, tensor in named_tensors(model).items()
        if name in stored and not matches(name, but) and tensor.is_floating_point()
    }
    converted = [name for name, dtype in now.items() if dtype != stored[name].dtype]
    if converted and len(set(now.values())) > 1:
        raise ModelMismatchError(
            f"A part of the model was converted to another dtype and a part was not: {listed(converted)} differ from "
            "the store's network. Convert all of it (store.load(name, dtype=...)), or nothing. Nothing of it was "
            "changed."
        )
    return now[converted[0]] if converted else None


def _head(task: Stored, given: nn.Module | None) -> Head | None:
    """The task's head, its values to come; an `nn.Linear` has no memory yet, and draws no random numbers."""
    described = task.record.head
    if described is None:
        return None
    with torch.device("meta"):
        return build_head(
            task.record.name, described, None if given is None else copied(unwrapped(given)), task.private
        )


def _serves(model: nn.Module, head: Head, dtype: torch.dtype | None) -> bool:
    """Whether the module in the head's place is like it, and its tensors its own."""
    path, wanted = head.path, head.module
    present = model.get_submodule(path)
    if type(present) is not type(wanted):
        return False
    named, tensors = dict(present.named_parameters()), dict(wanted.named_parameters())
    inside = {id(tensor) for tensor in named.values()}
    elsewhere = (name for name, one in model.named_parameters(remove_duplicate=False) if id(one) in inside)
    return all(matches(name, [path]) for name in elsewhere) and {k: (v.shape, v.dtype) for k, v in named.items()} == {
        k: (v.shape, dtype or v.dtype) for k, v in tensors.items()
    }


def _of_base(model: nn.Module, template: nn.Module, path: str) -> nn.Module:
    """The module that the store's network has at `path`; what it is tied to outside of it is the model's."""
    theirs = live_tensors(template)
    outside = {name: tensor for name, tensor in live_tensors(model).items() if not matches(name, [path])}
    return copy.deepcopy(
        template.get_submodule(path), {id(theirs[name]): tensor for name, tensor in outside.items() if name in theirs}
    )


def _moved(module: nn.Module, model: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """The module where the model is, and as it is converted."""
    device = device_of(model)
    on_meta = any(param.is_meta for param in module.parameters())
    return moved(module.to_empty(device=device) if on_meta else module.to(device), None, dtype)


@torch.no_grad()
def _write(model: nn.Module, task: Stored, outside: Mapping[str, Tensor]) -> None:
    persistent, present = named_tensors(model), live_tensors(model)
    shared = {name: persistent[name] for name in task.subnet.parts if name in persistent and name not in task.private}
    apply_(_like(task.subnet, shared), shared)
    passing = {name: value for name, value in outside.items() if name not in persistent}
    for name, value in {**passing, **task.base, **task.private}.items():
        if name in present and present[name].shape == value.shape:
            present[name].copy_(value)
        else:  # a buffer that the state dict leaves out, and that its code has let grow
            parent, _, leaf = name.rpartition(".")
            module = model.get_submodule(parent)
            module.register_buffer(leaf, value.to(device_of(model), copy=True), persistent=False)


def _like(subnet: SubNetwork, tensors: Mapping[str, Tensor]) -> SubNetwork:
    """What is kept of these tensors, on their devices and in their dtypes."""
    parts = {}
    for name, tensor in tensors.items():
        part = subnet.parts[name]
        claimed, reused = (positions.to(tensor.device) for positions in (part.claimed, part.reused))
        parts[name] = Part(claimed, part.values.to(tensor), reused)
    return SubNetwork(tuple(spec for spec in subnet.specs if spec.name in parts), parts)
