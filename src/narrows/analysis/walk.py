"""The tasks of a store in order, each with what those before it hold; one task in memory at a time.

Follows docs/format.md: a weight belongs to the latest task before that claimed it; tasks of isolation "own" and "none"
hold nothing of what is shared. Costs what tasks keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.subnet import Composition, Part, SubNetwork
from narrows.subnet.composing import NOBODY

Positions = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WalkedTask:
    """A task when it came.

    Attributes:
        position: of the task in the store's list, from 0.
        record: its task.json.
        subnet: what it keeps; its values are 0 where the walk was to be without them.
        earlier: what the tasks before it hold; only valid until the next one.
    """

    position: int
    record: TaskRecord
    subnet: SubNetwork
    earlier: Composition

    @property
    def name(self) -> str:
        """The task's."""
        return self.record.name

    @property
    def shares(self) -> bool:
        """Whether it shares weights with others at all."""
        return self.record.isolation == "shared"

    @property
    def own(self) -> SubNetwork:
        """What it keeps, without the parameters that its head stands in the place of."""
        place = None if self.record.head is None else f"{self.record.head['path']}."
        specs = tuple(spec for spec in self.subnet.specs if place is None or not spec.name.startswith(place))
        return SubNetwork(specs, {spec.name: self.subnet.parts[spec.name] for spec in specs})

    def sources(self, name: str, positions: Positions) -> NDArray[np.int32]:
        """Of weights of a parameter the position of the task that held each before, -1 for free ones."""
        found: NDArray[np.int32] = self.earlier.owners[name].numpy()[positions]
        return found

    def claimed_anew(self) -> tuple[int, ...]:
        """By layer, how many of the weights that it claims were free before; 0 for tasks that share nothing."""
        if not self.shares:
            return (0,) * len(self.subnet.specs)
        parts = self.subnet.parts.items()
        return tuple(int((self.sources(name, part.claimed.numpy()) == NOBODY).sum()) for name, part in parts)


def walk(reader: StoreReader, *, values: bool = False) -> Iterator[WalkedTask]:
    """Every task of the store, in order. DamagedStoreError.

    To be called within `reader.steadily`.

    Args:
        values: whether claimed values are read (claimed.safetensors), and not the masks alone (mask.bin).
    """
    earlier = Composition(reader.shared)
    for position, name in enumerate(reader.task_names()):
        record = reader.record(name)
        subnet = reader.subnet(name) if values else _outlined(reader, name)
        yield WalkedTask(position, record, subnet, earlier)
        earlier.add(name, record.isolation, subnet)


def _outlined(reader: StoreReader, name: str) -> SubNetwork:
    """By the mask alone: each value a 0 that takes no room."""
    parts: dict[str, Part] = {}
    outline: Mapping[str, tuple[torch.Tensor, torch.Tensor]] = reader.outline(name)
    for spec in reader.shared:
        claimed, reused = outline[spec.name]
        parts[spec.name] = Part(claimed, torch.zeros(1, dtype=spec.torch_dtype()).expand(len(claimed)), reused)
    return SubNetwork(reader.shared, parts)
