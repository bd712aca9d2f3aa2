"""Putting a task's weights together from the tasks that claimed them. Tensors by name; no modules, no disk.

A used weight has the value that the task itself claimed or else the latest task before it that did: later claims,
refinements, do not reach it, so an older task cannot change. A task of isolation "own" consists of its own
claims; tasks of isolation "none" all have the weights of the last of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from narrows.errors import StoreError
from narrows.store.content import Claims
from narrows.store.records import TaskRecord, TensorSpec


class Reader(Protocol):
    """Where tasks are read from: a store, or one as it would be."""

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The parameters that tasks share, in order."""

    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in the order they were learned."""

    def record(self, name: str) -> TaskRecord:
        """What is written down of a task."""

    def claims(self, name: str) -> Claims:
        """What others may reuse of a task."""

    def kept(self, name: str) -> dict[str, Tensor]:
        """What a task keeps for itself."""

    def masks(self, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What a task uses, and what of it it claims."""

    def snapshot(self) -> Frozen | None:
        """What the first tasks hold, gathered before; None where it must be gathered from the tasks."""


@dataclass
class Frozen:
    """What earlier tasks hold of the shared parameters.

    Attributes:
        masks: name -> bool, weights that some "shared" task uses.
        values: name -> their values, the latest where a weight was refined; 0 elsewhere.
        owners: name -> int32, position in `tasks` of the latest task that claimed the weight, -1 where free.
        tasks: names of the tasks, in order.
        kept: values that the "shared" tasks keep; a refined weight counts for each.
        own: tasks of isolation "own", each with a network of its own.
        overwriting: whether there are tasks of isolation "none", which have one network between them.
    """

    masks: dict[str, Tensor]
    values: dict[str, Tensor]
    owners: dict[str, Tensor]
    tasks: tuple[str, ...] = ()
    kept: int = 0
    own: int = 0
    overwriting: bool = False

    @classmethod
    def nothing(cls, shared: Sequence[TensorSpec]) -> Frozen:
        """What an empty store holds."""
        masks = zeros([replace(spec, dtype="bool") for spec in shared])
        owners = zeros([replace(spec, dtype="int32") for spec in shared])
        return cls(masks, zeros(shared), {name: owner.sub_(1) for name, owner in owners.items()})

    def add(self, name: str, isolation: str, claims: Claims | None) -> None:
        """Takes in the next task; `claims` matter for isolation "shared" only."""
        if isolation == "shared" and claims is not None:
            scatter(claims, self.values)
            for parameter, claimed in claims.claimed.items():
                self.masks[parameter] |= claimed
                self.owners[parameter][claimed] = len(self.tasks)
            self.kept += sum(value.numel() for value in claims.values.values())
        self.own += isolation == "own"
        self.overwriting |= isolation == "none"
        self.tasks = (*self.tasks, name)

    def parents(self, used: Mapping[str, Tensor], claimed: Mapping[str, Tensor]) -> tuple[str, ...]:
        """The tasks whose weights a task reuses, in order: those that own what it uses and did not claim."""
        owners: set[int] = set()
        for name, mask in used.items():
            owners.update(torch.unique(self.owners[name][mask & ~claimed[name]]).tolist())
        return tuple(self.tasks[position] for position in sorted(owners - {-1}))

    def bake(self, claims: Claims) -> dict[str, Tensor]:
        """The shared weights of a task that comes next: its claims over what is frozen, 0 outside its mask."""
        values = {name: value.clone() for name, value in self.values.items()}
        scatter(claims, values)
        return {name: masked(value, claims.used[name]) for name, value in values.items()}

    def used(self) -> float:
        """Values kept / shared weights, and 1 for each network kept beside them."""
        total = sum(mask.numel() for mask in self.masks.values())
        return (self.kept / total if total else 0.0) + self.own + self.overwriting


def frozen_weights(reader: Reader, *, anew: bool = False) -> Frozen:
    """Everything that the next task must leave as it is.

    Costs no more in a store of many tasks than of few, where a snapshot was kept; `anew` reads every task instead.
    """
    frozen = (None if anew else reader.snapshot()) or Frozen.nothing(reader.shared)
    for name in reader.task_names()[len(frozen.tasks) :]:
        isolation = reader.record(name).isolation
        frozen.add(name, isolation, reader.claims(name) if isolation == "shared" else None)
    return frozen


def baked_weights(reader: Reader, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(shared, private) tensors of a task: shared weights with the mask baked in, 0 outside it.

    Only what they consist of is read: damage to what other tasks keep for themselves does not matter.
    """
    values = zeros(reader.shared)
    used: dict[str, Tensor] | None = None
    for source in _sources(reader, reader.record(name)):
        claims = reader.claims(source)
        scatter(claims, values)
        if source == name:
            used = claims.used
    if used is None:  # its weights are those of a later task
        used, _ = reader.masks(name)
    return {key: masked(value, used[key]) for key, value in values.items()}, reader.kept(name)


def masked(value: Tensor, used: Tensor) -> Tensor:
    """`value` where used, +0 elsewhere (a product would give -0 in the place of a negative weight)."""
    return torch.where(used, value, torch.zeros_like(value))


def used_fraction(reader: Reader) -> float:
    """Values the tasks keep / shared weights: a refined weight counts for each, a private network as 1 more each."""
    return frozen_weights(reader).used()


def digest(shared: Mapping[str, Tensor], private: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of a task's whole network."""
    sha = hashlib.sha256()
    for group in (shared, private):
        for name in sorted(group):
            tensor = group[name].detach().cpu().contiguous()
            sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def scatter(claims: Claims, values: dict[str, Tensor]) -> None:
    """Puts the claimed values of a task in their places, in place."""
    for name, packed in claims.values.items():
        if packed.numel():
            values[name][claims.claimed[name]] = packed


def dtype_of(spec: TensorSpec) -> torch.dtype:
    """The torch dtype a spec names."""
    dtype = getattr(torch, spec.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def last_overwriting(reader: Reader) -> str | None:
    """The last task of isolation "none", whose weights all such tasks have."""
    names = reversed(reader.task_names())
    return next((name for name in names if reader.record(name).isolation == "none"), None)


def _sources(reader: Reader, record: TaskRecord) -> tuple[str, ...]:
    if record.isolation == "shared":
        return (*record.parents, record.name)
    if record.isolation == "own":
        return (record.name,)
    return (last_overwriting(reader) or record.name,)


def zeros(shared: Sequence[TensorSpec]) -> dict[str, Tensor]:
    """A tensor of zeros for each. StoreError where there is not the memory, or no such tensor."""
    try:
        return {spec.name: torch.zeros(spec.shape, dtype=dtype_of(spec)) for spec in shared}
    except (RuntimeError, TypeError, MemoryError) as error:
        weights = sum(spec.numel for spec in shared)
        raise StoreError(f"there is no memory for the {weights} shared weights of the store: {error}") from error
