"""The user's network as a store takes it in: without what training frameworks wrap around it, and as a copy.

Knows modules; no task and no store.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.tasks.partition import named_tensors

# By name: to import torch's compiler and its distributed package would take seconds.
_INSIDE = {
    "OptimizedModule": "_orig_mod",  # of torch.compile
    "DataParallel": "module",
    "DistributedDataParallel": "module",
}
_SHARDED = ("FSDPModule", "FullyShardedDataParallel", "DTensor")


def unwrapped(model: nn.Module, until: nn.Module | None = None) -> nn.Module:
    """The network itself, out of torch.compile, DataParallel and DistributedDataParallel; or `until`, if it is met.

    >>> network = nn.Linear(2, 2)
    >>> unwrapped(nn.DataParallel(network)) is network, unwrapped(network) is network
    (True, True)
    """
    while model is not until and (inside := _inside(model)) is not None:
        model = inside
    return model


def require_plain(model: nn.Module) -> None:
    """Raises ModelMismatchError where a part of the model is wrapped, or what `require_whole` refuses."""
    for path, module in model.named_modules():
        if _inside(module) is not None:
            raise ModelMismatchError(
                f"The module {path!r} is wrapped in {type(module).__name__}, which changes the names of what is in it. "
                "Give the network as it is; compile or wrap the task's model after store.begin, from the outside "
                "(torch.compile(task.model)), or compile a part in place (module.compile())."
            )
    require_whole(model)


def require_whole(model: nn.Module) -> None:
    """Raises ModelMismatchError where the model is sharded over devices, or a tensor has no shape yet."""
    sharded = [name for name, module in model.named_modules() if _is_sharded(module)]
    sharded += [name for name, tensor in named_tensors(model).items() if _is_sharded(tensor)]
    if sharded:
        raise ModelMismatchError(
            f"The model is sharded over devices (FSDP): {_called(sharded[0])}. narrows trains a task in "
            "one process, on whole tensors: leave FSDP out."
        )


def copied(model: nn.Module) -> nn.Module:
    """A copy on the CPU. ModelMismatchError, naming the attribute, where something in the model cannot be copied."""
    try:
        return copy.deepcopy(model).cpu()
    except Exception as error:  # whatever an attribute's own copying may raise
        raise ModelMismatchError(_why_not(model, error)) from error


def copied_without(model: nn.Module, names: Collection[str]) -> nn.Module:
    """A copy of a model that lies on the CPU, with zeros in the tensors of these names: their values are not copied."""
    tensors = {name: tensor for name, tensor in named_tensors(model).items() if name in names}
    usual = [one for one in tensors.values() if type(one) is nn.Parameter and one.is_contiguous() and not one.is_meta]
    # Memory that is zero from the system is not written to, and not taken, before it is used.
    zeros = {id(one): nn.Parameter(torch.zeros(one.shape, dtype=one.dtype), one.requires_grad) for one in usual}
    found = copy.deepcopy(model, dict(zeros))
    if len(usual) < len(tensors):
        for name, tensor in named_tensors(found).items():
            if name in tensors and id(tensors[name]) not in zeros:
                tensor.detach().zero_()
    return found


def _inside(module: nn.Module) -> nn.Module | None:
    found = next((_INSIDE[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in _INSIDE), None)
    inside = None if found is None else getattr(module, found, None)
    return inside if isinstance(inside, nn.Module) else None


def _is_sharded(value: object) -> bool:
    return any(kind.__name__ in _SHARDED for kind in type(value).__mro__)


def _why_not(model: nn.Module, error: Exception) -> str:
    """Which attribute of which module it is, and what can be done."""
    first = str(error).partition("\n")[0]
    for path, module in model.named_modules():
        for name, value in _attributes(module):
            try:
                copy.deepcopy(value)
            except Exception as cause:
                where = f"{_called(path)} ({type(module).__name__})"
                what = "holds what was computed from parameters" if _is_computed(value) else f"({cause})"
                return (
                    f"The model cannot be copied, and a store copies it for every task: the attribute {name!r} of "
                    f"{where} {what}. {_remedy(module, name, value)}"
                )
    return f"The model cannot be copied, and a store copies it for every task: {type(error).__name__}: {first}."


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """What a module holds itself, its parameters and buffers included, its modules not."""
    yield from ((name, value) for name, value in vars(module).items() if name not in ("_modules", "_buffers"))
    yield from module._buffers.items()


def _called(path: str) -> str:
    return repr(path) if path else "the model itself"


def _is_computed(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_leaf
    inside = value.values() if isinstance(value, Mapping) else value
    return isinstance(value, list | tuple | Mapping) and any(map(_is_computed, inside))


def _remedy(module: nn.Module, name: str, value: Any) -> str:
    held = {*module._parameters, *module._buffers}
    if f"{name}_g" in held:
        return "Use torch.nn.utils.parametrizations.weight_norm in the place of torch.nn.utils.weight_norm."
    if f"{name}_mask" in held:
        return f"Make pruning permanent first: torch.nn.utils.prune.remove(module, {name!r})."
    if f"{name}_orig" in held:
        return "Use torch.nn.utils.parametrizations.spectral_norm in the place of torch.nn.utils.spectral_norm."
    if _is_computed(value):
        return "Compute it in forward, keep it detached (.detach()), or make it an nn.Parameter."
    return "Make it when it is needed, in forward say, or leave it out of copies by a __deepcopy__ of its class."
