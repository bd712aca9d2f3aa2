"""Which of a model's tensors tasks share, and which each task keeps whole.

*Shared*: weights that multiply, by the rule of `narrows.tasks.sharing`. *Private*: every other trainable
parameter and every persistent buffer (biases, norm scales, running statistics), the task's head, whatever the user
names by pattern, and buffers that the state dict leaves out, where training changed them. *Fixed*: parameters that are
not trained (`requires_grad=False`); they stay as in the base network. Tied parameters count once, under their first
name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.subnet import TensorSpec
from narrows.training.module_tensors import live_tensors as live_tensors
from narrows.training.module_tensors import named_tensors as named_tensors


def require_plain_state(model: nn.Module) -> None:
    """Raises ModelMismatchError where the model's state dict holds what is no parameter or buffer: it would be lost.

    Keys that a hook or an override renames are let through, as long as they lead to the model's own tensors.
    """
    tensors = live_tensors(model).values()
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    names |= {name for name, _ in model.named_buffers(remove_duplicate=False)}
    memory = {tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()}
    for name, value in model.state_dict().items():
        own = isinstance(value, Tensor) and value.untyped_storage().data_ptr() in memory
        if name not in names and not own:
            what = "tensor" if not isinstance(value, Tensor) else "parameter or buffer of its modules"
            raise ModelMismatchError(
                f"The model's state dict holds {name!r}, which is no {what}; a store keeps those only, under the names "
                "of named_parameters() and named_buffers(). Keep such state in a tensor given to register_buffer, and "
                "leave the keys of state_dict as they are."
            )


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern is the parameter's name, one of the modules it lies in, or a wildcard for either.

    >>> matches("head.fc.weight", ["head"]), matches("header.weight", ["head"]), matches("a.norm.weight", ["*.norm"])
    (True, False, True)
    """
    return any(fnmatchcase(part, pattern) for part in ancestry(name) for pattern in patterns)


def ancestry(name: str) -> Iterator[str]:
    """The name, and the modules it lies in, from the inside out."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def fixed_names(model: nn.Module) -> set[str]:
    """Parameters that are not trained."""
    tensors = named_tensors(model).items()
    return {name for name, tensor in tensors if isinstance(tensor, nn.Parameter) and not tensor.requires_grad}


@torch.no_grad()
def assign(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copies values into the model's tensors of those names, in place.

    Raises:
        ModelMismatchError: the model has no such tensor, or of another shape or dtype; names them.
    """
    tensors = live_tensors(model)
    require_match({name: tensor for name, tensor in tensors.items() if name in values}, values)
    for name, value in values.items():
        tensors[name].copy_(value)


def identical(one: Tensor, other: Tensor) -> bool:
    """Whether shape, dtype and every bit agree, wherever the two lie; a NaN is itself, and -0 is not 0."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(_bits(one), _bits(other))


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def require_match(model: Mapping[str, Tensor], store: Mapping[str, Tensor]) -> None:
    """Raises ModelMismatchError, naming up to five tensors, unless names, shapes and dtypes agree."""
    problems = [f"{name} is not in the model" for name in store.keys() - model.keys()]
    problems += [f"{name} is not in the store" for name in model.keys() - store.keys()]
    for name in model.keys() & store.keys():
        ours, theirs = TensorSpec.of(name, model[name]), TensorSpec.of(name, store[name])
        if ours != theirs:
            problems.append(
                f"{name} is {ours.dtype} {ours.shape} in the model, {theirs.dtype} {theirs.shape} in the store"
            )
    if problems:
        problems.sort()
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelMismatchError(
            "The model is not the one this store was made from: " + "; ".join(problems[:5]) + more + ". Build it "
            "with the same code and options as when the store was created."
        )
