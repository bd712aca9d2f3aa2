"""Tasks one over another: of every weight the value of the latest that claimed it, and who that was.

Costs what tasks claim, not tasks x weights. Pure tensors on the CPU: no modules, no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from narrows.errors import StoreError
from narrows.subnet.spec import TensorSpec
from narrows.subnet.value import Part, SubNetwork, position_dtype, positions_of

NOBODY = -1


@dataclass(frozen=True, eq=False)
class HeldPart:
    """Of one shared parameter, what tasks hold together: positions (C order, ascending), values, and whose each is.

    `owners`: int32, the position in `Held.tasks` of the latest task that claimed the weight.
    """

    positions: Tensor
    values: Tensor
    owners: Tensor


@dataclass(frozen=True, eq=False)
class Held:
    """What the tasks of a store hold of the shared weights.

    Attributes:
        specs: the shared parameters.
        parts: name -> what is held of it; every shared parameter is there.
        tasks: names of the tasks, in order.
        kept: values that the "shared" tasks keep; a refined weight counts for each.
        own: tasks of isolation "own", each with a network of its own.
        overwriting: whether there are tasks of isolation "none", which have one network between them.
    """

    specs: tuple[TensorSpec, ...]
    parts: Mapping[str, HeldPart]
    tasks: tuple[str, ...] = ()
    kept: int = 0
    own: int = 0
    overwriting: bool = False

    @classmethod
    def nothing(cls, specs: Sequence[TensorSpec]) -> Held:
        """What no task holds."""
        parts = {}
        for spec in specs:
            none = torch.zeros(0, dtype=position_dtype(spec.numel))
            parts[spec.name] = HeldPart(none, torch.zeros(0, dtype=spec.torch_dtype()), none.to(torch.int32))
        return cls(tuple(specs), parts)

    def tensors(self) -> dict[str, Tensor]:
        """All of it as named tensors: what a digest is taken of."""
        return {f"{key}.{name}": tensor for name, part in self.parts.items() for key, tensor in vars(part).items()}

    def values_kept(self) -> float:
        """Values kept / shared weights, and 1 for each network kept beside them."""
        total = sum(spec.numel for spec in self.specs)
        return (self.kept / total if total else 0.0) + self.own + self.overwriting

    def resolve(self, subnet: SubNetwork) -> SubNetwork:
        """As of `Composition`, without tensors of the parameters' sizes."""
        values = {}
        for name, part in subnet.parts.items():
            held = self.parts[name]
            values[name] = torch.zeros(len(part.reused), dtype=held.values.dtype)
            _found(part.reused, held.positions, held.values, values[name])
        return _filled(subnet, values)

    def parents(self, subnet: SubNetwork) -> tuple[str, ...]:
        """As of `Composition`."""
        owners: set[int] = set()
        for name, part in subnet.parts.items():
            held, whose = self.parts[name], torch.full((len(part.reused),), NOBODY, dtype=torch.int32)
            _found(part.reused, held.positions, held.owners, whose)
            owners.update(torch.unique(whose).tolist())
        return tuple(self.tasks[position] for position in sorted(owners - {NOBODY}))


class Composition:
    """Tasks composed in their order, to be asked between two of them.

    Args:
        specs: the shared parameters.
        held: what the first tasks hold, composed before.

    Attributes:
        owners: name -> int32, flat: position in `tasks` of the latest task that claimed the weight, -1 where free.
        values: name -> flat: the value it gave it; 0 where free.
        tasks, kept, own, overwriting: as of `Held`.

    Raises:
        StoreError: there is not the memory for the store's shared weights.
    """

    def __init__(self, specs: Sequence[TensorSpec], held: Held | None = None) -> None:
        self.specs = tuple(specs)
        self.values = zeros(self.specs)
        self.owners = {
            name: torch.full((value.numel(),), NOBODY, dtype=torch.int32) for name, value in self.values.items()
        }
        self.tasks: tuple[str, ...] = ()
        self.kept, self.own, self.overwriting = 0, 0, False
        if held is not None:
            self.tasks, self.kept, self.own, self.overwriting = held.tasks, held.kept, held.own, held.overwriting
            for name, value in self.values.items():
                part = held.parts[name]
                value[part.positions] = part.values
                self.owners[name][part.positions] = part.owners

    def add(self, name: str, isolation: str, subnet: SubNetwork | None) -> None:
        """Takes in the next task; its sub-network matters for isolation "shared" only."""
        if isolation == "shared" and subnet is not None:
            for parameter, part in subnet.parts.items():
                self.values[parameter][part.claimed] = part.values
                self.owners[parameter][part.claimed] = len(self.tasks)
            self.kept += subnet.claimed
        self.own += isolation == "own"
        self.overwriting |= isolation == "none"
        self.tasks = (*self.tasks, name)

    def held(self) -> Held:
        """What they hold, apart from this."""
        parts = {}
        for name, owners in self.owners.items():
            positions = positions_of(owners != NOBODY)
            parts[name] = HeldPart(positions, self.values[name][positions], owners[positions])
        return Held(self.specs, parts, self.tasks, self.kept, self.own, self.overwriting)

    def masks(self) -> dict[str, Tensor]:
        """name -> bool, of the parameter's shape: what some task claimed."""
        return {spec.name: (self.owners[spec.name] != NOBODY).view(spec.shape) for spec in self.specs}

    def orphans(self, subnet: SubNetwork) -> dict[str, int]:
        """Parameter -> number of weights that a next task would reuse and that nobody claimed; where there are any."""
        counts = {name: int((self.owners[name][part.reused] == NOBODY).sum()) for name, part in subnet.parts.items()}
        return {name: count for name, count in counts.items() if count}

    def parents(self, subnet: SubNetwork) -> tuple[str, ...]:
        """The tasks whose weights a next task reuses, in order."""
        owners: set[int] = set()
        for name, part in subnet.parts.items():
            owners.update(torch.unique(self.owners[name][part.reused]).tolist())
        return tuple(self.tasks[position] for position in sorted(owners - {NOBODY}))

    def resolve(self, subnet: SubNetwork) -> SubNetwork:
        """A next task with a value at all that it keeps: it needs no other task any more."""
        return _filled(subnet, {name: self.values[name][part.reused] for name, part in subnet.parts.items()})


def resolved(subnet: SubNetwork, parents: Iterable[SubNetwork]) -> SubNetwork:
    """`Composition.resolve` of a task whose parents are these, in order: costs what they claim, and no more memory.

    They are asked for one after another, and none is held on to.
    """
    values = {name: torch.zeros(len(part.reused), dtype=part.values.dtype) for name, part in subnet.parts.items()}
    for parent in parents:
        for name, part in subnet.parts.items():
            _found(part.reused, parent.parts[name].claimed, parent.parts[name].values, values[name])
    return _filled(subnet, values)


def _found(wanted: Tensor, positions: Tensor, values: Tensor, out: Tensor) -> None:
    """Puts into `out` the values at those of the wanted positions that are there; both ascend."""
    if not len(wanted) or not len(positions):
        return
    few, many = (positions, wanted) if len(positions) < len(wanted) else (wanted, positions)
    at = torch.from_numpy(np.searchsorted(many.numpy(), few.numpy()))
    there = many[at.clamp_(max=len(many) - 1)] == few
    if few is positions:
        out[at[there]] = values[there]
    else:
        out[there] = values[at[there]]


def _filled(subnet: SubNetwork, reused: Mapping[str, Tensor]) -> SubNetwork:
    """The sub-network with these values of its reused weights, as if they were its own."""
    parts = {}
    for name, part in subnet.parts.items():
        if not len(part.reused):
            parts[name] = part
            continue
        both = torch.cat([part.claimed, part.reused])
        order = torch.from_numpy(np.argsort(both.numpy(), kind="stable"))  # which makes use of the two being sorted
        parts[name] = Part(both[order], torch.cat([part.values, reused[name]])[order], part.reused[:0])
    return SubNetwork(subnet.specs, parts)


def zeros(specs: Sequence[TensorSpec]) -> dict[str, Tensor]:
    """A flat tensor of zeros for each. StoreError where there is not the memory, or no such tensor."""
    try:
        return {spec.name: torch.zeros(spec.numel, dtype=spec.torch_dtype()) for spec in specs}
    except (RuntimeError, TypeError, MemoryError) as error:
        weights = sum(spec.numel for spec in specs)
        raise StoreError(f"there is no memory for the {weights} shared weights of the store: {error}") from error
