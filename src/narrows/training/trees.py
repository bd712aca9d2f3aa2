"""Trees: what a checkpoint consists of, so that it needs no pickling.

A tree is a dict with str keys, a list, str, int, float, bool, None or a tensor, nested at will. `to_tree` turns what
optimizers and schedulers call their state into one, tuples and int keys included, and `from_tree` back, exactly.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from narrows.errors import ConfigError

Tree = Any
"""dict[str, Tree] | list[Tree] | str | int | float | bool | None | Tensor."""

_TUPLE, _ITEMS, _FLOAT = "!tuple", "!items", "!float"


def to_tree(value: Any, where: str = "the state") -> Tree:
    """`value` as a tree; its tensors are those of `value`, detached, not copied.

    Raises:
        ConfigError: there is something in it that is no plain value; says where.

    >>> to_tree({"betas": (0.9, 0.999), "state": {0: None}})
    {'betas': {'!tuple': [0.9, 0.999]}, 'state': {'!items': [[0, None]]}}
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):  # NumPy's too
        value = float(value)
        return value if math.isfinite(value) else {_FLOAT: repr(value)}
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, list):
        return [to_tree(part, where) for part in value]
    if type(value) is tuple:
        return {_TUPLE: [to_tree(part, where) for part in value]}
    if isinstance(value, dict):
        if all(type(key) is str and not key.startswith("!") for key in value):
            return {key: to_tree(part, f"{where}, {key}") for key, part in value.items()}
        return {_ITEMS: [[to_tree(key, where), to_tree(part, f"{where}, {key}")] for key, part in value.items()]}
    raise ConfigError(
        f"A {type(value).__qualname__} cannot be kept in a checkpoint ({where}): only numbers, strings, None, tensors, "
        "lists, tuples and dicts can. Train without a checkpoint, or with another optimizer."
    )


def from_tree(tree: Tree) -> Any:
    """What `to_tree` was given; its tensors are copies.

    >>> from_tree(to_tree({"betas": (0.9, 0.999), "state": {0: None}}))
    {'betas': (0.9, 0.999), 'state': {0: None}}
    """
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, list):
        return [from_tree(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    if _TUPLE in tree:
        return tuple(from_tree(part) for part in tree[_TUPLE])
    if _ITEMS in tree:
        return {from_tree(key): from_tree(part) for key, part in tree[_ITEMS]}
    if _FLOAT in tree:
        return float(tree[_FLOAT])
    return {key: from_tree(part) for key, part in tree.items()}


def place_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """`optimizer.load_state_dict`, but exact: each tensor keeps its dtype, and takes its parameter's layout.

    Args:
        state: a state dict whose tensors are the optimizer's to keep.
    """
    optimizer.load_state_dict(state)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, kept in state["state"].items():
        param = params[index]
        for key, value in kept.items():
            if isinstance(value, Tensor) and value.dim() and value.shape == param.shape:
                optimizer.state[param][key] = torch.empty_like(param, dtype=value.dtype, requires_grad=False).copy_(
                    value
                )
