"""A checkpoint in memory, and what tests ask of its tree."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from narrows.training import Step


class Memory:
    """Keeps a copy of the last tree, as a file would."""

    def __init__(self) -> None:
        self.tree: Any = None
        self.saves = 0
        self.drops = 0

    def load(self) -> Any:
        return copy.deepcopy(self.tree)

    def save(self, tree: Any, /) -> None:
        self.tree = copy.deepcopy(tree)
        self.saves += 1

    def drop(self) -> None:
        self.tree = None
        self.drops += 1


def stop_at(step: int, error: type[BaseException] = KeyboardInterrupt) -> Callable[[Step], None]:
    """A callback that interrupts training after that step."""

    def callback(at: Step) -> None:
        if at.step == step:
            raise error

    return callback


def strange(tree: Any, where: str = "") -> list[str]:
    """Where the tree holds what a tree may not."""
    if tree is None or type(tree) in (bool, int, str):
        return []
    if type(tree) is float:
        return [] if tree - tree == 0 else [f"{where}: {tree}"]
    if isinstance(tree, Tensor):
        return [f"{where}: {type(tree)} {tree.requires_grad}"] if type(tree) is not Tensor or tree.requires_grad else []
    if type(tree) is list:
        return [found for at, part in enumerate(tree) for found in strange(part, f"{where}[{at}]")]
    if type(tree) is dict:
        keys = [f"{where}: key {key!r}" for key in tree if type(key) is not str]
        return keys + [found for key, part in tree.items() for found in strange(part, f"{where}.{key}")]
    return [f"{where}: {type(tree)}"]


def identical(one: Any, other: Any) -> bool:
    """Whether two trees are the same to the last bit."""
    if isinstance(one, Tensor):
        if not isinstance(other, Tensor) or (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        return torch.equal(*(part.detach().reshape(-1).contiguous().view(torch.uint8) for part in (one, other)))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, Iterable) and not isinstance(one, str):
        return len(list(one)) == len(list(other)) and all(map(identical, one, other))
    return type(one) is type(other) and one == other
