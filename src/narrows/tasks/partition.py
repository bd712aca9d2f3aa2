"""Which of a model's tensors tasks share, and which each task keeps whole.

*Shared*: weights that multiply, by the rule of `narrows.tasks.sharing`. *Private*: every other trainable
parameter and every persistent buffer (biases, norm scales, running statistics), the task's head, and
whatever the user names by pattern. *Fixed*: parameters that are not trained (`requires_grad=False`); they
stay as in the base network. Tied parameters count once, under their first name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.store import TensorSpec


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer once, under its first name in the state dict; live tensors."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise ModelMismatchError(
                f"The model's state dict holds {name!r}, which is no tensor; a store keeps tensors only."
            )
        if isinstance(value, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer):
            raise ModelMismatchError(f"{name!r} has no shape yet: run the model once, then make the store.")
        if id(value) not in seen:
            seen.add(id(value))
            found[name] = value
    return found


def live_tensors(model: nn.Module) -> dict[str, Tensor]:
    """All that training may change in the model: `named_tensors`, and the buffers that its state dict leaves out."""
    tensors = named_tensors(model)
    known = {id(tensor) for tensor in tensors.values()}
    return tensors | {name: tensor for name, tensor in model.named_buffers() if id(tensor) not in known}


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
    tensors = named_tensors(model)
    require_match({name: tensor for name, tensor in tensors.items() if name in values}, values)
    for name, value in values.items():
        tensors[name].copy_(value)


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
