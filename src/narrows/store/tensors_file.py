"""Named tensors to and from safetensors bytes. Nothing is ever unpickled.

Knows no store format; touches no disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from narrows.errors import StoreError
from narrows.memory import enough_memory, is_shortage, require_room
from narrows.store import strict_json
from narrows.store.durable import RESTORE, DamagedFileError

MAX_HEADER: Final = 16 << 20  # bytes
_COPIES: Final = 4
_LENGTH: Final = 8  # bytes of the little-endian header length in front


def encode(tensors: Mapping[str, Tensor], label: str) -> bytes:
    """`tensors` as the bytes of a safetensors file: the same tensors always give the same bytes.

    StoreError if a tensor is sparse, on the meta device, or of a dtype that safetensors does not know, or if there is
    not the memory.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values() if not tensor.is_sparse)
    # Copied, spelled and put together: safetensors ends in a panic, or hangs, where it gets no memory.
    require_room(_COPIES * size, f"{label} is not written")
    plain: dict[str, Tensor] = {}
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        if tensor.layout is not torch.strided or tensor.is_meta:
            raise StoreError(f"{label}: the tensor {name!r} has no plain data to store")
        if name == "__metadata__":
            raise StoreError(f"{label}: no tensor may be called {name!r}")
        # A copy each: safetensors refuses tensors that share memory, as tied parameters do.
        plain[name] = tensor.to("cpu", copy=True).resolve_conj().resolve_neg().contiguous()
    with enough_memory(f"write {label}"):
        try:
            data = save(plain)
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            if is_shortage(error):
                raise
            raise StoreError(f"{label} cannot be written as safetensors: {error}") from error
    if int.from_bytes(data[:_LENGTH], "little") > MAX_HEADER:
        raise StoreError(f"{label} holds too many tensors: its header would pass {MAX_HEADER} bytes")
    return data


def decode(data: bytes, label: str, remedy: str = RESTORE) -> dict[str, Tensor]:
    """The tensors in `data`, each in its own memory, on the CPU.

    DamagedFileError if it is not valid; StoreError where there is not the memory.
    """
    if len(data) < _LENGTH:
        raise DamagedFileError(label, f"has {len(data)} bytes, too few for safetensors", remedy)
    length = int.from_bytes(data[:_LENGTH], "little")
    if length > MAX_HEADER:
        raise DamagedFileError(label, f"claims a header of {length} bytes, more than {MAX_HEADER}", remedy)
    if length > len(data) - _LENGTH:
        raise DamagedFileError(label, f"ends inside its header of {length} bytes", remedy)
    # safetensors checks dtypes, shapes and offsets itself, but takes the last of two equal keys.
    strict_json.parse(data[_LENGTH : _LENGTH + length], label, remedy)
    require_room(len(data), f"{label} is not read")
    with enough_memory(f"read {label}"):
        try:
            return dict(load(data))
        except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, AssertionError) as error:
            if is_shortage(error):
                raise
            raise DamagedFileError(label, f"is not valid safetensors ({error})", remedy) from error
