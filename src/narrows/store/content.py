"""The tensors of a task, checked and turned to and from the bytes of its three files.

Knows the parameters by name, shape and dtype; touches no disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from narrows.store import mask_file, tensors_file
from narrows.store.durable import RESTORE, DamagedFileError
from narrows.store.names import CLAIMED_FILE, MASK_FILE, PRIVATE_FILE
from narrows.subnet import Part, SubNetwork, TensorSpec

Read = Callable[[str], bytes]
"""Of a file's plain name."""


@dataclass(frozen=True, eq=False)
class TaskContent:
    """The tensors of a task: what others may reuse of it, and what it keeps for itself."""

    subnet: SubNetwork
    private: dict[str, Tensor]


def encode(content: TaskContent, specs: Sequence[TensorSpec]) -> dict[str, bytes]:
    """The bytes of each file of a task. StoreError, naming the tensor, if `content` does not fit `specs`."""
    content.subnet.require_fit(specs)
    values = {name: part.values for name, part in content.subnet.parts.items() if len(part.values)}
    return {
        CLAIMED_FILE: tensors_file.encode(values, CLAIMED_FILE),
        MASK_FILE: mask_file.encode(content.subnet),
        PRIVATE_FILE: tensors_file.encode(content.private, PRIVATE_FILE),
    }


def decode(read: Read, specs: Sequence[TensorSpec], where: str, remedy: str = RESTORE) -> TaskContent:
    """The content in the files that `read` gives by name; DamagedFileError if they do not fit each other.

    `where` is put before a file's name in errors.
    """
    return TaskContent(decode_subnet(read, specs, where, remedy), decode_private(read, where, remedy))


def decode_subnet(read: Read, specs: Sequence[TensorSpec], where: str, remedy: str = RESTORE) -> SubNetwork:
    """`decode` without what the task keeps for itself, whose file is not asked for."""
    outline = mask_file.decode(read(MASK_FILE), specs, where + MASK_FILE, remedy)
    label = where + CLAIMED_FILE
    values = tensors_file.decode(read(CLAIMED_FILE), label, remedy)
    if values.keys() != {name for name, (claimed, _) in outline.items() if len(claimed)}:
        raise DamagedFileError(label, f"holds other parameters than {where}{MASK_FILE} claims", remedy)
    parts = {}
    for spec in specs:
        claimed, reused = outline[spec.name]
        value = values.get(spec.name, claimed.new_zeros(0, dtype=spec.torch_dtype()))
        found = TensorSpec.of(spec.name, value)
        if found.dtype != spec.dtype or found.shape != (len(claimed),):
            what = f"are {found.dtype} of shape {found.shape} and should be {spec.dtype} of shape ({len(claimed)},)"
            raise DamagedFileError(label, f"does not fit: the values of {spec.name} {what}", remedy)
        parts[spec.name] = Part(claimed, value, reused)
    return SubNetwork(tuple(specs), parts)


def decode_private(read: Read, where: str, remedy: str = RESTORE) -> dict[str, Tensor]:
    """What the task keeps for itself: that file alone is asked for."""
    return tensors_file.decode(read(PRIVATE_FILE), where + PRIVATE_FILE, remedy)
