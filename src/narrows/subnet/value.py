"""The sub-network of a task: which shared weights it keeps, and the values of those that are its own.

One fact in one form: for each shared parameter the positions of its *claimed* weights with their values, and of its
*reused* ones, which have the value of the latest task before that claimed them. *Kept* are both; every other weight
is 0. It costs what is kept, not what could be. Pure tensors, on any device: no modules, no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from narrows.errors import StoreError
from narrows.subnet.spec import TensorSpec

_MOST = 2**31


@dataclass(frozen=True, eq=False)
class Part:
    """Of one shared parameter. Positions count its elements in C order, ascending; int32, or int64 if it has 2^31.

    Attributes:
        claimed: positions with a value of the task's own, shape (c,).
        values: their values, shape (c,), the parameter's dtype.
        reused: positions whose value is an earlier task's, shape (r,); none of them claimed.
    """

    claimed: Tensor
    values: Tensor
    reused: Tensor

    @property
    def kept(self) -> Tensor:
        """Positions of all that is kept, ascending, shape (c + r,)."""
        if not len(self.reused):
            return self.claimed
        return torch.cat([self.claimed, self.reused]).sort().values


@dataclass(frozen=True, eq=False)
class SubNetwork:
    """What a task uses of the shared weights.

    Attributes:
        specs: the shared parameters, in the store's order.
        parts: name -> what is kept of it; every shared parameter is there.

    >>> spec = TensorSpec("w", (2, 2), "float32")
    >>> kept, claimed = torch.tensor([[True, True], [False, True]]), torch.tensor([[True, False], [False, False]])
    >>> found = SubNetwork.of([spec], {"w": kept}, {"w": claimed}, {"w": torch.tensor([[5.0, 6.0], [7.0, 8.0]])})
    >>> found.parts["w"]
    Part(claimed=tensor([0], dtype=torch.int32), values=tensor([5.]), reused=tensor([1, 3], dtype=torch.int32))
    >>> found.kept_masks()["w"]
    tensor([[ True,  True],
            [False,  True]])
    """

    specs: tuple[TensorSpec, ...]
    parts: Mapping[str, Part]

    @classmethod
    def of(
        cls,
        specs: Sequence[TensorSpec],
        kept: Mapping[str, Tensor],
        claimed: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
    ) -> SubNetwork:
        """From masks, bool, of each parameter's shape, and the weights they are taken from; its tensors are new.

        Args:
            claimed: may lack parameters, and so may `weights` where nothing is claimed.
        """
        parts = {}
        for spec in specs:
            mask = kept[spec.name].reshape(-1)
            own = claimed[spec.name].reshape(-1) if spec.name in claimed else torch.zeros_like(mask)
            positions = positions_of(own)
            values = (
                weights[spec.name].detach().reshape(-1)[positions]
                if len(positions)
                else torch.zeros(0, dtype=spec.torch_dtype(), device=mask.device)
            )
            parts[spec.name] = Part(positions, values, positions_of(mask & ~own))
        return cls(tuple(specs), parts)

    @classmethod
    def of_masks(cls, kept: Mapping[str, Tensor]) -> SubNetwork:
        """One that reuses all that it keeps: what is kept counts, and no value. Masks as of `of`."""
        return cls.of([TensorSpec.of(name, mask) for name, mask in kept.items()], kept, {}, {})

    @property
    def claimed(self) -> int:
        """Number of weights with a value of the task's own."""
        return sum(len(part.claimed) for part in self.parts.values())

    @property
    def reused(self) -> int:
        """Number of weights at an earlier task's value."""
        return sum(len(part.reused) for part in self.parts.values())

    def kept_mask(self, name: str) -> Tensor:
        """bool, of the parameter's shape: what is kept of it."""
        (spec,) = (spec for spec in self.specs if spec.name == name)
        return mask_of(spec, self.parts[name].claimed, self.parts[name].reused)

    def kept_masks(self) -> dict[str, Tensor]:
        """name -> bool, of the parameter's shape: what is kept."""
        return {spec.name: self.kept_mask(spec.name) for spec in self.specs}

    def claimed_masks(self) -> dict[str, Tensor]:
        """name -> bool, of the parameter's shape: what is claimed."""
        return {spec.name: mask_of(spec, self.parts[spec.name].claimed) for spec in self.specs}

    def to(self, device: torch.device | str) -> SubNetwork:
        """The same on another device."""
        moved = {
            name: Part(part.claimed.to(device), part.values.to(device), part.reused.to(device))
            for name, part in self.parts.items()
        }
        return SubNetwork(self.specs, moved)

    def require_fit(self, specs: Iterable[TensorSpec]) -> None:
        """Raises StoreError, naming the parameter, unless it is a sub-network of these shared parameters."""
        specs = tuple(specs)
        names = {spec.name for spec in specs}
        for name in self.parts.keys() - names:
            raise StoreError(f"the task keeps weights of {name!r}, which is not a shared parameter of the store")
        for spec in specs:
            if spec.name not in self.parts:
                raise StoreError(f"the task says nothing of the shared parameter {spec.name}")
            if fault := _fault(spec, self.parts[spec.name]):
                raise StoreError(f"what the task keeps of {spec.name} {fault}")


def mask_of(spec: TensorSpec, *positions: Tensor) -> Tensor:
    """bool, of the parameter's shape: True at the positions."""
    mask = torch.zeros(spec.numel, dtype=torch.bool, device=positions[0].device)
    for some in positions:
        mask[some] = True
    return mask.view(spec.shape)


def positions_of(mask: Tensor) -> Tensor:
    """Where a mask, shape (n,), is True; ascending."""
    on_cpu = mask.device.type == "cpu"  # where NumPy is four times as fast
    found = torch.from_numpy(np.flatnonzero(mask.numpy())) if on_cpu else mask.nonzero().squeeze(1)
    return found.to(position_dtype(mask.numel()))


def position_dtype(numel: int) -> torch.dtype:
    """Of positions in a parameter of so many elements."""
    return torch.int32 if numel < _MOST else torch.int64


def _fault(spec: TensorSpec, part: Part) -> str | None:
    found = TensorSpec.of(spec.name, part.values)
    if found.dtype != spec.dtype or found.shape != (len(part.claimed),):
        count = len(part.claimed)
        return f"has values of {found.dtype} and shape {found.shape} and should have {spec.dtype}, ({count},)"
    for positions in (part.claimed, part.reused):
        if positions.dtype not in (torch.int32, torch.int64) or positions.dim() != 1:
            return f"has positions of {positions.dtype} and {positions.dim()} dimensions"
        if len(positions) and not (int(positions[0]) >= 0 and int(positions[-1]) < spec.numel):
            return f"has positions outside its {spec.numel} elements"
        if bool((positions[1:] <= positions[:-1]).any()):
            return "has positions that do not ascend"
    kept = part.kept
    if bool((kept[1:] == kept[:-1]).any()):
        return "has weights both claimed and reused"
    return None
