"""Putting a task's weights together from the tasks that claimed them. Tensors by name; no modules.

A used weight has the value that the task itself claimed or else the latest task before it that did: later claims,
refinements, do not reach it, so an older task cannot change. A task of isolation "own" consists of its own
claims; tasks of isolation "none" all have the weights of the last of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.store.content import TaskContent
from narrows.store.directory import StoreDirectory
from narrows.store.records import TaskRecord, TensorSpec


@dataclass
class Frozen:
    """What earlier tasks hold of the shared parameters.

    Attributes:
        masks: name -> bool, weights that some "shared" task uses.
        values: name -> their values, the latest where a weight was refined; 0 elsewhere.
        owners: name -> int16, position in `tasks` of the latest task that claimed the weight, -1 where free.
        tasks: names of the "shared" tasks, in order.
    """

    masks: dict[str, Tensor]
    values: dict[str, Tensor]
    owners: dict[str, Tensor]
    tasks: tuple[str, ...]

    def parents(self, used: Mapping[str, Tensor], claimed: Mapping[str, Tensor]) -> tuple[str, ...]:
        """The tasks whose weights a task reuses, in order: those that own what it uses and did not claim."""
        owners: set[int] = set()
        for name, mask in used.items():
            owners.update(torch.unique(self.owners[name][mask & ~claimed[name]]).tolist())
        return tuple(self.tasks[position] for position in sorted(owners))


def frozen_weights(directory: StoreDirectory) -> Frozen:
    """Everything that the next task must leave as it is."""
    frozen = Frozen(
        masks={spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in directory.shared},
        values=_zeros(directory),
        owners={spec.name: torch.full(spec.shape, -1, dtype=torch.int16) for spec in directory.shared},
        tasks=tuple(record.name for record in directory.records() if record.isolation == "shared"),
    )
    for position, name in enumerate(frozen.tasks):
        content = directory.content(name)
        _scatter(content, frozen.values)
        for parameter, claimed in content.claimed.items():
            frozen.masks[parameter] |= claimed
            frozen.owners[parameter][claimed] = position
    return frozen


def baked_weights(directory: StoreDirectory, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(shared, private) tensors of a task: shared weights with the mask baked in, 0 outside it."""
    record = directory.record(name)
    content = directory.content(name)
    values = _zeros(directory)
    for source in _sources(directory, record):
        _scatter(content if source == name else directory.content(source), values)
    return {key: masked(value, content.used[key]) for key, value in values.items()}, content.private


def masked(value: Tensor, used: Tensor) -> Tensor:
    """`value` where used, +0 elsewhere (a product would give -0 in the place of a negative weight)."""
    return torch.where(used, value, torch.zeros_like(value))


def used_fraction(directory: StoreDirectory) -> float:
    """Values the tasks keep / shared weights: a refined weight counts for each, a private network as 1 more each."""
    total = sum(spec.numel for spec in directory.shared)
    records = directory.records()
    shared = (directory.content(record.name) for record in records if record.isolation == "shared")
    values = sum(value.numel() for content in shared for value in content.values.values())
    isolations = [record.isolation for record in records]
    return (values / total if total else 0.0) + isolations.count("own") + ("none" in isolations)


def digest(shared: Mapping[str, Tensor], private: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of a task's whole network."""
    sha = hashlib.sha256()
    for group in (shared, private):
        for name in sorted(group):
            tensor = group[name].detach().cpu().contiguous()
            sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def _sources(directory: StoreDirectory, record: TaskRecord) -> tuple[str, ...]:
    if record.isolation == "shared":
        return (*record.parents, record.name)
    if record.isolation == "own":
        return (record.name,)
    return ([other.name for other in directory.records() if other.isolation == "none"][-1],)


def _zeros(directory: StoreDirectory) -> dict[str, Tensor]:
    return {spec.name: torch.zeros(spec.shape, dtype=dtype_of(spec)) for spec in directory.shared}


def dtype_of(spec: TensorSpec) -> torch.dtype:
    """The torch dtype a spec names."""
    dtype = getattr(torch, spec.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def _scatter(content: TaskContent, values: dict[str, Tensor]) -> None:
    for name, packed in content.values.items():
        values[name][content.claimed[name]] = packed
