"""What two networks differ in besides parameters and persistent buffers, as far as can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from narrows.tasks.partition import identical, live_tensors

# Compiling leaves the last two.
_OF_EVERY_MODULE = {*vars(nn.Module()), "_is_torch_compile", "_compiled_call_impl"}
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def differences(trained: nn.Module, loaded: nn.Module) -> list[str]:
    """What differs besides parameters and persistent buffers: attributes, modules, hooks, as module.attribute."""
    found = []
    ours, theirs = dict(trained.named_modules()), dict(loaded.named_modules())
    for path, module in ours.items():
        other = theirs.get(path)
        if other is None or type(other) is not type(module):
            found.append(f"{path or 'the model'} (a {type(module).__name__})")
            continue
        found += [_path(path, name) for name in _unlike_parts(attributes_of(module), attributes_of(other))]
        found += [_path(path, kind[1:]) for kind in _HOOKS if len(getattr(module, kind)) != len(getattr(other, kind))]
    return [*found, *_unlike_parts(live_tensors(trained), live_tensors(loaded))]


def attributes_of(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}


def _unlike_parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys that only one of them has, or whose values are unlike."""
    absent = object()
    return [key for key in {**one, **other} if _unlike(one.get(key, absent), other.get(key, absent))]


def _path(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def _unlike(one: Any, other: Any) -> bool:
    """Whether two attributes differ in what can be told: tensors, numbers and texts, also in lists and dicts."""
    if type(one) is not type(other):
        return True
    if isinstance(one, Tensor):
        return not identical(one, other)
    if isinstance(one, Mapping):
        return bool(_unlike_parts(one, other))
    if isinstance(one, list | tuple):
        return len(one) != len(other) or any(map(_unlike, one, other))
    if isinstance(one, np.ndarray):
        return not np.array_equal(one, other)
    return isinstance(one, bool | int | float | complex | str | bytes | np.generic) and repr(one) != repr(other)
