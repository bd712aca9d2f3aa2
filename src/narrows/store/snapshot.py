"""What the first tasks of a store hold, gathered in one file, so that the next task need not read them all.

Written with every eighth task: the tasks after it are few and are read as they are. It holds nothing that the tasks
do not, and is made anew from them where it is missing or damaged. Touches no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from narrows.store import tensors_file
from narrows.store.durable import DamagedFileError
from narrows.store.header import StoreHeader
from narrows.subnet import Held, HeldPart, TensorSpec, mask_of, positions_of

EVERY: Final = 8
"""Tasks between two snapshots: it has the size of the weights in use, and a commit writes and flushes it."""

REMEDY: Final = "no task needs it; `narrows compact` makes it anew from the tasks"
_COUNTS: Final = "counts"


def due(header: StoreHeader) -> bool:
    """Whether the tasks that came after the last snapshot are so many that there should be another."""
    return len(header.tasks) - (header.snapshot.tasks if header.snapshot else 0) >= EVERY


def encode(held: Held, label: str) -> bytes:
    """The bytes of the file: for each parameter of which anything is held a mask in bits, the values, their owners."""
    tensors: dict[str, Tensor] = {_COUNTS: torch.tensor([held.kept, held.own, held.overwriting], dtype=torch.int64)}
    for spec in held.specs:
        part = held.parts[spec.name]
        if len(part.positions):
            packed = np.packbits(mask_of(spec, part.positions).reshape(-1).numpy(), bitorder="little")
            tensors[f"mask.{spec.name}"] = torch.from_numpy(packed)
            tensors[f"values.{spec.name}"] = part.values
            tensors[f"owners.{spec.name}"] = part.owners
    return tensors_file.encode(tensors, label)


def decode(data: bytes, shared: Sequence[TensorSpec], tasks: tuple[str, ...], label: str) -> Held:
    """The reverse of `encode`; `tasks` are those it gathers. DamagedFileError where it does not fit them."""
    tensors = tensors_file.decode(data, label, REMEDY)
    counts = tensors.pop(_COUNTS, torch.zeros(0))
    if counts.dtype != torch.int64 or counts.shape != (3,):
        raise DamagedFileError(label, "holds no counts", REMEDY)
    parts: dict[str, HeldPart] = {}
    for spec in shared:
        bits, values, owners = (tensors.pop(f"{part}.{spec.name}", None) for part in ("mask", "values", "owners"))
        if bits is None and values is None and owners is None:
            bits = torch.zeros((spec.numel + 7) // 8, dtype=torch.uint8)
            values, owners = torch.zeros(0, dtype=spec.torch_dtype()), torch.zeros(0, dtype=torch.int32)
        if bits is None or values is None or owners is None or not _fits(spec, bits, values, owners, len(tasks)):
            raise DamagedFileError(label, f"does not fit {spec.name}", REMEDY)
        mask = torch.from_numpy(np.unpackbits(bits.numpy(), count=spec.numel, bitorder="little").view(np.bool_))
        positions = positions_of(mask)
        if len(positions) != len(values):
            raise DamagedFileError(label, f"does not fit {spec.name}", REMEDY)
        parts[spec.name] = HeldPart(positions, values, owners)
    if tensors:
        raise DamagedFileError(label, f"holds {sorted(tensors)[0]!r}, which is of no shared parameter", REMEDY)
    kept, own, overwriting = counts.tolist()
    return Held(tuple(shared), parts, tasks, kept, own, bool(overwriting))


def _fits(spec: TensorSpec, bits: Tensor, values: Tensor, owners: Tensor, tasks: int) -> bool:
    sizes = bits.dtype == torch.uint8 and bits.shape == ((spec.numel + 7) // 8,)
    types = values.dtype == spec.torch_dtype() and owners.dtype == torch.int32
    if not (sizes and types and values.dim() == 1 and values.shape == owners.shape):
        return False
    return not len(owners) or (int(owners.min()) >= 0 and int(owners.max()) < tasks)
