"""A module's tensors by name. Knows no task and no store."""

from __future__ import annotations

from torch import Tensor, nn

from narrows.errors import ModelMismatchError


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer once, live, under its first name.

    Names are the modules' own, in the order of the state dict; what somebody's `state_dict` makes of them is not asked.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for path, module in model.named_modules():
        left_out = module._non_persistent_buffers_set
        buffers = ((key, buffer) for key, buffer in module.named_buffers(recurse=False) if key not in left_out)
        for key, tensor in (*module.named_parameters(recurse=False), *buffers):
            name = f"{path}.{key}" if path else key
            if nn.parameter.is_lazy(tensor):
                raise ModelMismatchError(f"{name!r} has no shape yet: run the model once, then make the store.")
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found[name] = tensor
    return found


def live_tensors(model: nn.Module) -> dict[str, Tensor]:
    """All that training may change in the model: `named_tensors`, and the buffers that its state dict leaves out."""
    tensors = named_tensors(model)
    known = {id(tensor) for tensor in tensors.values()}
    return tensors | {name: tensor for name, tensor in model.named_buffers() if id(tensor) not in known}
