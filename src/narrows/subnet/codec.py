"""Ascending positions in so many elements to and from few bytes: the gaps between them, or a bit for each element.

A run of positions is

    1 byte   how: 0 none, 1 all, 2 gaps, 3 bits
    8 bytes  for gaps and bits: how many bytes follow, unsigned, little-endian
    gaps     for each position, how many elements lie between it and the one before (the start, for the first): as
             many bytes of 255 as that has 255s, then a byte below 255 for the rest
    bits     element i is bit i % 8 of byte i // 8; padded with zeros to a whole byte

To be compressed: gaps are nearly geometric, and zstd's Huffman codes come within a few per cent of their entropy. Knows
no mask and no file.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

NONE, ALL, GAPS, BITS = range(4)
ESCAPE: Final = 255
_HEADER: Final = 9
DENSE: Final = 0.2
"""Fraction from which the two ways are compared; below it gaps are smaller."""

Positions = NDArray[Any]


class RunError(ValueError):
    """Bytes that are no run of positions; says why."""


def encode_run(positions: Positions, elements: int) -> bytes:
    """The bytes of ascending positions below `elements`.

    >>> encode_run(np.array([1, 2, 300]), 1000).hex()
    '0204000000000000000100ff2a'
    """
    if not len(positions):
        return bytes([NONE])
    if len(positions) == elements:
        return bytes([ALL])
    gaps = _gaps(positions)
    if len(positions) >= DENSE * elements:
        bits = _bits(positions, elements)
        if _compressed(bits) <= _compressed(gaps):
            return bytes([BITS]) + len(bits).to_bytes(8, "little") + bits
    return bytes([GAPS]) + len(gaps).to_bytes(8, "little") + gaps


def decode_run(data: memoryview, elements: int) -> tuple[Positions, int]:
    """(positions, bytes read) of the run that `data` begins with; int64, ascending, below `elements`.

    Needs 18 bytes an element at most, whatever the bytes say. RunError.
    """
    if not len(data):
        raise RunError("ends before its last run")
    how = data[0]
    if how == NONE:
        return np.zeros(0, np.int64), 1
    if how == ALL:
        return np.arange(elements), 1
    length = int.from_bytes(data[1:_HEADER], "little")
    body = data[_HEADER : _HEADER + length]
    if len(data) < _HEADER or len(body) < length:
        raise RunError("ends inside a run")
    raw = np.frombuffer(body, np.uint8)
    if how == GAPS:
        return _from_gaps(raw, elements), _HEADER + length
    if how == BITS:
        return _from_bits(raw, elements), _HEADER + length
    raise RunError(f"has a run of the unknown kind {how}")


def most_bytes(elements: int) -> int:
    """That a run of positions in so many elements may have."""
    return _HEADER + elements + elements // ESCAPE


def _gaps(positions: Positions) -> bytes:
    whole, rest = np.divmod(np.diff(positions.astype(np.int64), prepend=-1) - 1, ESCAPE)
    if not whole.any():
        return rest.astype(np.uint8).tobytes()
    ends = np.cumsum(whole + 1) - 1
    found = np.full(int(ends[-1]) + 1, ESCAPE, np.uint8)
    found[ends] = rest
    return found.tobytes()


def _from_gaps(raw: NDArray[np.uint8], elements: int) -> Positions:
    if not len(raw) or raw[-1] == ESCAPE:
        raise RunError("has a gap without an end")
    if len(raw) > elements + elements // ESCAPE:
        raise RunError(f"has gaps beyond its {elements} elements")
    passed = raw.astype(np.int64)  # before it is summed up: four times as fast
    np.cumsum(passed, out=passed)
    ends = raw != ESCAPE
    if not ends.all():
        passed = passed[ends]
    positions: Positions = passed + np.arange(len(passed))
    if positions[-1] >= elements:
        raise RunError(f"has gaps beyond its {elements} elements")
    if len(positions) == elements:
        raise RunError("has a run in another way than narrows writes it")
    return positions


def _bits(positions: Positions, elements: int) -> bytes:
    mask = np.zeros(elements, np.bool_)
    mask[positions] = True
    return np.packbits(mask, bitorder="little").tobytes()


def _from_bits(raw: NDArray[np.uint8], elements: int) -> Positions:
    if len(raw) != (elements + 7) // 8:
        raise RunError(f"has {len(raw)} bytes for {elements} bits")
    if elements % 8 and raw[-1] >> (elements % 8):
        raise RunError("has padding bits that are not zero")
    found = np.flatnonzero(np.unpackbits(raw, count=elements, bitorder="little").view(np.bool_))  # of bytes it is slow
    if len(found) in (0, elements):
        raise RunError("has a run in another way than narrows writes it")
    return found


def _compressed(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=3).compress(data))
