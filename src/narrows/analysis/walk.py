"""The tasks of a store in order, each with its masks and with who held what before it; one task in memory at a time.

Follows docs/format.md: a weight belongs to the latest task before that claimed it; tasks of isolation "own" and "none"
hold nothing of what is shared. Reads task.json and mask.bin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.subnet import TensorSpec, mask_of

Bits = NDArray[np.bool_]
Owners = NDArray[np.int32]
FREE = -1


@dataclass(frozen=True)
class WalkedTask:
    """A task when it came. One array for each shared parameter, flat in C order.

    Attributes:
        position: of the task in the store's list, from 0.
        record: its task.json.
        used, claimed: its masks.
        owners: position of the task that held each weight before this one came, -1 where it was free. The arrays go on
            to change with the walk.
    """

    position: int
    record: TaskRecord
    used: tuple[Bits, ...]
    claimed: tuple[Bits, ...]
    owners: tuple[Owners, ...]

    @property
    def shares(self) -> bool:
        """Whether it shares weights with others at all."""
        return self.record.isolation == "shared"


def walk(reader: StoreReader) -> Iterator[WalkedTask]:
    """Every task of the store, in order. DamagedStoreError.

    To be called within `reader.steadily`.
    """
    owners = tuple(np.full(spec.numel, FREE, np.int32) for spec in reader.shared)
    for position, name in enumerate(reader.task_names()):
        outline = reader.outline(name)
        used = tuple(_bits(spec, *outline[spec.name]) for spec in reader.shared)
        claimed = tuple(_bits(spec, outline[spec.name][0]) for spec in reader.shared)
        step = WalkedTask(position, reader.record(name), used, claimed, owners)
        yield step
        if step.shares:
            for owner, mask in zip(owners, step.claimed, strict=True):
                owner[mask] = position


def _bits(spec: TensorSpec, *positions: Tensor) -> Bits:
    return mask_of(spec, *positions).reshape(-1).numpy()
