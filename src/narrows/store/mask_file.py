"""The bits of a task's mask to and from the bytes of mask.bin.

    bytes 0-7    b"NRWMASK1"
    bytes 8-15   payload length in bytes, unsigned, little-endian
    bytes 16-    one zstd frame (level 19, content size and checksum on) holding the payload:
                 for each shared parameter, in order, a bit per element: is it used;
                 then for each, in order, a bit per *used* element: is it claimed.

Element i of a run is bit i % 8 of byte i // 8; each run is padded with zeros to whole bytes.
Knows no other file; touches no disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from narrows.errors import StoreError
from narrows.store.durable import RESTORE, DamagedFileError
from narrows.store.records import TensorSpec

MAGIC: Final = b"NRWMASK1"
LEVEL: Final = 19
_HEADER: Final = 16  # bytes before the zstd frame
_Bits = NDArray[np.bool_]


def encode(specs: Sequence[TensorSpec], used: Mapping[str, Tensor], claimed: Mapping[str, Tensor]) -> bytes:
    """The bytes of mask.bin. Both maps hold a bool tensor of the parameter's shape for every spec."""
    payload = pack(specs, used, claimed)
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=True)
    return MAGIC + len(payload).to_bytes(8, "little") + compressor.compress(payload)


def decode(
    data: bytes, specs: Sequence[TensorSpec], label: str, remedy: str = RESTORE
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """`(used, claimed)`, bool, of each parameter's shape. DamagedFileError if a byte is not as it must be.

    Never allocates more than the specs call for, whatever the bytes say.
    """
    if data[:8] != MAGIC or len(data) < _HEADER:
        raise DamagedFileError(label, "does not begin as a mask file of version 1", remedy)
    length = int.from_bytes(data[8:_HEADER], "little")
    least = sum(_bytes_for(spec.numel) for spec in specs)
    if not least <= length <= 2 * least:
        what = f"announces a payload of {length} bytes; these parameters need {least} to {2 * least}"
        raise DamagedFileError(label, what, remedy)
    try:
        frame = zstandard.get_frame_parameters(data[_HEADER:])
        if frame.content_size != length or not frame.has_checksum or frame.dict_id:
            raise DamagedFileError(label, "has a zstd frame that is not as announced", remedy)
        # One output buffer of `length` bytes: a frame that inflates to more is an error, not memory.
        payload = zstandard.ZstdDecompressor().decompress(data[_HEADER:], allow_extra_data=False)
        return unpack(payload, specs, label, remedy)
    except zstandard.ZstdError as error:
        raise DamagedFileError(label, f"does not decompress ({error})", remedy) from error
    except MemoryError as error:
        raise StoreError(f"{label} is not read: there is no memory for masks of {length} bytes") from error


def pack(specs: Sequence[TensorSpec], used: Mapping[str, Tensor], claimed: Mapping[str, Tensor]) -> bytes:
    """The payload of mask.bin before compression."""
    runs = [_flat(used[spec.name]) for spec in specs]
    runs += [_flat(claimed[spec.name])[run] for spec, run in zip(specs, list(runs), strict=True)]
    return b"".join(np.packbits(run, bitorder="little").tobytes() for run in runs)


def unpack(
    payload: bytes, specs: Sequence[TensorSpec], label: str, remedy: str = RESTORE
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The reverse of `pack`; DamagedFileError on a wrong length or a padding bit that is set."""
    start = 0

    def run(count: int) -> _Bits:
        nonlocal start
        packed = np.frombuffer(payload[start : start + _bytes_for(count)], np.uint8)
        if len(packed) < _bytes_for(count):
            raise DamagedFileError(label, "has a payload too short for its bits", remedy)
        if count % 8 and packed[-1] >> (count % 8):
            raise DamagedFileError(label, "has padding bits that are not zero", remedy)
        start += len(packed)
        return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)

    used_runs = [run(spec.numel) for spec in specs]
    claimed_runs: list[_Bits] = []
    for used in used_runs:
        claimed = np.zeros(len(used), np.bool_)
        claimed[used] = run(int(used.sum()))
        claimed_runs.append(claimed)
    if start != len(payload):
        raise DamagedFileError(label, f"has {len(payload) - start} bytes after its last bit", remedy)
    return _tensors(specs, used_runs), _tensors(specs, claimed_runs)


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


def _flat(mask: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = mask.detach().cpu().contiguous().reshape(-1).numpy()
    return array


def _tensors(specs: Sequence[TensorSpec], runs: Sequence[_Bits]) -> dict[str, Tensor]:
    pairs = zip(specs, runs, strict=True)
    return {spec.name: torch.from_numpy(run).reshape(spec.shape) for spec, run in pairs}
