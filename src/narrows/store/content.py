"""The tensors of a task, checked and turned to and from the bytes of its three files.

Knows the parameters by name, shape and dtype; touches no disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.errors import StoreError
from narrows.store import mask_file, tensors_file
from narrows.store.durable import RESTORE, DamagedFileError
from narrows.store.names import CLAIMED_FILE, MASK_FILE, PRIVATE_FILE
from narrows.store.records import TensorSpec


@dataclass(frozen=True)
class Claims:
    """What others may reuse of a task; every shared parameter's name is in `used` and `claimed`."""

    used: dict[str, Tensor]  # bool, of the parameter's shape
    claimed: dict[str, Tensor]  # bool, a subset of `used`: where this task has a value of its own
    values: dict[str, Tensor]  # 1-D, C order, the parameter's dtype; only where something is claimed


@dataclass(frozen=True)
class TaskContent(Claims):
    """The tensors of a task."""

    private: dict[str, Tensor]  # whatever the task keeps for itself


def encode(content: TaskContent, specs: Sequence[TensorSpec]) -> dict[str, bytes]:
    """The bytes of each file of a task. StoreError, naming the tensor, if `content` does not fit `specs`.

    `claimed` may leave out parameters of which nothing is claimed, and `values` may hold empty tensors.
    """
    _check_names(content, specs)
    claimed: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for spec in specs:
        used = _mask(content.used, spec, "used")
        claimed[spec.name] = mine = (
            _mask(content.claimed, spec, "claimed") if spec.name in content.claimed else torch.zeros_like(used)
        )
        if bool((mine & ~used).any()):
            raise StoreError(f"the task claims weights of {spec.name} that it does not use")
        count = int(mine.sum())
        value = content.values.get(spec.name)
        if value is None and count:
            raise StoreError(f"the values of {spec.name} are missing: {count} are claimed")
        if value is None:
            continue
        fault = _value_fault(value, spec, count)
        if fault:
            raise StoreError(f"the values of {spec.name} {fault}")
        if count:
            values[spec.name] = value
    return {
        CLAIMED_FILE: tensors_file.encode(values, CLAIMED_FILE),
        MASK_FILE: mask_file.encode(specs, content.used, claimed),
        PRIVATE_FILE: tensors_file.encode(content.private, PRIVATE_FILE),
    }


def decode(read: Callable[[str], bytes], specs: Sequence[TensorSpec], where: str, remedy: str = RESTORE) -> TaskContent:
    """The content in the files that `read` gives by name; DamagedFileError if they do not fit each other.

    `where` is put before a file's name in errors.
    """
    claims = decode_claims(read, specs, where, remedy)
    return TaskContent(claims.used, claims.claimed, claims.values, decode_private(read, where, remedy))


def decode_claims(
    read: Callable[[str], bytes], specs: Sequence[TensorSpec], where: str, remedy: str = RESTORE
) -> Claims:
    """`decode` without what the task keeps for itself, whose file is not asked for."""
    used, claimed = mask_file.decode(read(MASK_FILE), specs, where + MASK_FILE, remedy)
    label = where + CLAIMED_FILE
    values = tensors_file.decode(read(CLAIMED_FILE), label, remedy)
    counts = {spec.name: int(claimed[spec.name].sum()) for spec in specs}
    if values.keys() != {name for name, count in counts.items() if count}:
        raise DamagedFileError(label, f"holds other parameters than {where}{MASK_FILE} claims", remedy)
    for spec in specs:
        fault = _value_fault(values[spec.name], spec, counts[spec.name]) if spec.name in values else None
        if fault:
            raise DamagedFileError(label, f"does not fit: the values of {spec.name} {fault}", remedy)
    return Claims(used, claimed, values)


def decode_private(read: Callable[[str], bytes], where: str, remedy: str = RESTORE) -> dict[str, Tensor]:
    """What the task keeps for itself: that file alone is asked for."""
    return tensors_file.decode(read(PRIVATE_FILE), where + PRIVATE_FILE, remedy)


def _check_names(content: TaskContent, specs: Sequence[TensorSpec]) -> None:
    known = {spec.name for spec in specs}
    given: dict[str, Mapping[str, Tensor]] = {
        "used": content.used,
        "claimed": content.claimed,
        "values": content.values,
    }
    for part, tensors in given.items():
        for name in tensors:
            if name not in known:
                raise StoreError(f"{part} holds {name!r}, which is not a shared parameter of the store")


def _mask(masks: Mapping[str, Tensor], spec: TensorSpec, part: str) -> Tensor:
    if spec.name not in masks:
        raise StoreError(f"{part} lacks the shared parameter {spec.name}")
    mask = masks[spec.name]
    if mask.dtype != torch.bool or tuple(mask.shape) != spec.shape:
        found = f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise StoreError(f"{part}[{spec.name!r}] is {found} and should be bool of shape {spec.shape}")
    return mask.detach().cpu()


def _value_fault(value: Tensor, spec: TensorSpec, count: int) -> str | None:
    found = TensorSpec.of(spec.name, value)
    if found.shape == (count,) and found.dtype == spec.dtype:
        return None
    return f"are {found.dtype} of shape {found.shape} and should be {spec.dtype} of shape ({count},)"
