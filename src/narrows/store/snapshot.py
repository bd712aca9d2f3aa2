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
from narrows.store.compose import Frozen, dtype_of
from narrows.store.durable import DamagedFileError
from narrows.store.records import StoreHeader, TensorSpec

EVERY: Final = 8
"""Tasks between two snapshots: it has the size of the weights in use, and a commit writes and flushes it."""

REMEDY: Final = "no task needs it; `narrows compact` makes it anew from the tasks"
_COUNTS: Final = "counts"


def due(header: StoreHeader) -> bool:
    """Whether the tasks that came after the last snapshot are so many that there should be another."""
    return len(header.tasks) - (header.snapshot.tasks if header.snapshot else 0) >= EVERY


def encode(frozen: Frozen, label: str) -> bytes:
    """The bytes of the file: for each parameter with a frozen weight its mask in bits, its values, their owners."""
    tensors: dict[str, Tensor] = {
        _COUNTS: torch.tensor([frozen.kept, frozen.own, frozen.overwriting], dtype=torch.int64)
    }
    for name, mask in frozen.masks.items():
        if bool(mask.any()):
            packed = np.packbits(mask.reshape(-1).numpy(), bitorder="little")
            tensors[f"mask.{name}"] = torch.from_numpy(packed)
            tensors[f"values.{name}"] = frozen.values[name][mask]
            tensors[f"owners.{name}"] = frozen.owners[name][mask]
    return tensors_file.encode(tensors, label)


def decode(data: bytes, shared: Sequence[TensorSpec], tasks: tuple[str, ...], label: str) -> Frozen:
    """The reverse of `encode`; `tasks` are those it gathers. DamagedFileError where it does not fit them."""
    tensors = tensors_file.decode(data, label, REMEDY)
    frozen = Frozen.nothing(shared)
    counts = tensors.pop(_COUNTS, torch.zeros(0))
    if counts.dtype != torch.int64 or counts.shape != (3,):
        raise DamagedFileError(label, "holds no counts", REMEDY)
    frozen.tasks = tasks
    frozen.kept, frozen.own, overwriting = counts.tolist()
    frozen.overwriting = bool(overwriting)
    for spec in shared:
        parts = [tensors.pop(f"{part}.{spec.name}", None) for part in ("mask", "values", "owners")]
        if all(part is None for part in parts):
            continue
        bits, values, owners = parts
        if bits is None or values is None or owners is None or not _fits(spec, bits, values, owners, len(tasks)):
            raise DamagedFileError(label, f"does not fit {spec.name}", REMEDY)
        flat = np.unpackbits(bits.numpy(), count=spec.numel, bitorder="little").view(np.bool_)
        mask = torch.from_numpy(flat).reshape(spec.shape)
        if int(mask.sum()) != len(values):
            raise DamagedFileError(label, f"does not fit {spec.name}", REMEDY)
        frozen.masks[spec.name] = mask
        frozen.values[spec.name][mask] = values
        frozen.owners[spec.name][mask] = owners
    if tensors:
        raise DamagedFileError(label, f"holds {sorted(tensors)[0]!r}, which is of no shared parameter", REMEDY)
    return frozen


def _fits(spec: TensorSpec, bits: Tensor, values: Tensor, owners: Tensor, tasks: int) -> bool:
    sizes = bits.dtype == torch.uint8 and bits.shape == ((spec.numel + 7) // 8,)
    types = values.dtype == dtype_of(spec) and owners.dtype == torch.int32
    if not (sizes and types and values.dim() == 1 and values.shape == owners.shape):
        return False
    return not len(owners) or (int(owners.min()) >= 0 and int(owners.max()) < tasks)
