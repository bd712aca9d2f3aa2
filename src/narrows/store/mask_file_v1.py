"""The payload of mask.bin as stores of version 1 have it, for reading only.

For each shared parameter, in order, one bit per element: is it kept. Then for each again one bit per *kept* element: is
it claimed. Element i of a run is bit i % 8 of byte i // 8; each run is padded with zeros to whole bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from narrows.subnet import TensorSpec
from narrows.subnet.codec import RunError

MAGIC: Final = b"NRWMASK1"


def bounds(specs: Sequence[TensorSpec]) -> tuple[int, int]:
    """The least and the most bytes that a payload can have."""
    least = sum(_bytes_for(spec.numel) for spec in specs)
    return least, 2 * least


def unpack(payload: memoryview, specs: Sequence[TensorSpec]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """For each parameter the positions that are kept, and of those, counted from 0, the claimed ones. RunError."""
    kept = []
    for spec in specs:
        kept.append(_run(payload, spec.numel))
        payload = payload[_bytes_for(spec.numel) :]
    for positions in kept:
        yield positions, _run(payload, len(positions))
        payload = payload[_bytes_for(len(positions)) :]
    if len(payload):
        raise RunError(f"has {len(payload)} bytes after its last bit")


def _run(payload: memoryview, count: int) -> NDArray[Any]:
    packed = np.frombuffer(payload[: _bytes_for(count)], np.uint8)
    if len(packed) < _bytes_for(count):
        raise RunError("has a payload too short for its bits")
    if count % 8 and packed[-1] >> (count % 8):
        raise RunError("has padding bits that are not zero")
    return np.flatnonzero(np.unpackbits(packed, count=count, bitorder="little"))


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8
