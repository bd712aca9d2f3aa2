"""Which weights a task keeps, and which of them it claimed, to and from the bytes of mask.bin.

    bytes 0-7    b"NRWMASK2"
    bytes 8-15   payload length in bytes, unsigned, little-endian
    bytes 16-    one zstd frame (level 3, content size and checksum on) holding the payload: for each shared
                 parameter, in order, two runs of positions (`narrows.subnet.codec`): of its elements in C order those
                 that are kept, then of those kept, counted from 0, those that are claimed

Files of version 1 are read as well. Knows no other file; touches no disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from narrows.errors import StoreError
from narrows.store import mask_file_v1
from narrows.store.durable import RESTORE, DamagedFileError
from narrows.subnet import SubNetwork, TensorSpec
from narrows.subnet.codec import RunError, decode_run, encode_run, most_bytes
from narrows.subnet.value import position_dtype

MAGIC: Final = b"NRWMASK2"
LEVEL: Final = 3
_HEADER: Final = 16  # bytes before the zstd frame

Outline = Mapping[str, tuple[Tensor, Tensor]]
"""name -> positions that are claimed, and positions that are reused; of every shared parameter."""


def encode(subnet: SubNetwork) -> bytes:
    """The bytes of mask.bin."""
    runs: list[bytes] = []
    for spec in subnet.specs:
        part = subnet.parts[spec.name]
        both = np.concatenate([part.claimed.cpu().numpy(), part.reused.cpu().numpy()])
        order = np.argsort(both, kind="stable")
        runs += [
            encode_run(both[order], spec.numel),
            encode_run(np.flatnonzero(order < len(part.claimed)), len(both)),
        ]
    payload = b"".join(runs)
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=True)
    return MAGIC + len(payload).to_bytes(8, "little") + compressor.compress(payload)


def decode(data: bytes, specs: Sequence[TensorSpec], label: str, remedy: str = RESTORE) -> Outline:
    """What mask.bin says, of either version. DamagedFileError if a byte is not as it must be.

    Never allocates more than the specs call for, whatever the bytes say.
    """
    known = {MAGIC: (_bounds, _unpack), mask_file_v1.MAGIC: (mask_file_v1.bounds, mask_file_v1.unpack)}
    if data[:8] not in known or len(data) < _HEADER:
        raise DamagedFileError(label, "does not begin as a mask file of version 1 or 2", remedy)
    bounds, unpack = known[data[:8]]
    length = int.from_bytes(data[8:_HEADER], "little")
    least, most = bounds(specs)
    if not least <= length <= most:
        what = f"announces a payload of {length} bytes; these parameters need {least} to {most}"
        raise DamagedFileError(label, what, remedy)
    try:
        frame = zstandard.get_frame_parameters(data[_HEADER:])
        if frame.content_size != length or not frame.has_checksum or frame.dict_id:
            raise DamagedFileError(label, "has a zstd frame that is not as announced", remedy)
        # One output buffer of `length` bytes: a frame that inflates to more is an error, not memory.
        payload = zstandard.ZstdDecompressor().decompress(data[_HEADER:], allow_extra_data=False)
        runs = unpack(memoryview(payload), specs)
        return {spec.name: _split(*run, spec) for spec, run in zip(specs, runs, strict=True)}
    except RunError as error:
        raise DamagedFileError(label, str(error), remedy) from error
    except zstandard.ZstdError as error:
        raise DamagedFileError(label, f"does not decompress ({error})", remedy) from error
    except MemoryError as error:
        raise StoreError(f"{label} is not read: there is no memory for masks of {length} bytes") from error


def _bounds(specs: Sequence[TensorSpec]) -> tuple[int, int]:
    return 2 * len(specs), sum(2 * most_bytes(spec.numel) for spec in specs)


def _unpack(payload: memoryview, specs: Sequence[TensorSpec]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for spec in specs:
        kept, read = decode_run(payload, spec.numel)
        among, more = decode_run(payload[read:], len(kept))
        payload = payload[read + more :]
        yield kept, among
    if len(payload):
        raise RunError(f"has {len(payload)} bytes after its last run")


def _split(kept: NDArray[Any], among: NDArray[Any], spec: TensorSpec) -> tuple[Tensor, Tensor]:
    """Positions that are claimed, and the others."""
    others = np.ones(len(kept), np.bool_)
    others[among] = False
    dtype = position_dtype(spec.numel)
    return torch.from_numpy(kept[among]).to(dtype), torch.from_numpy(kept[np.flatnonzero(others)]).to(dtype)
