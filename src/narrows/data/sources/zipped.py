"""A CSV file as bytes, unpacked where it is gzipped, and no further than is allowed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from narrows.data.limits import ROW, require_room
from narrows.errors import DataError

_CELL = 16
"""Bytes that a cell takes in memory, at least."""
_MARKS = (b",", b";", b"\t", b"|")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read, or unpacks to more than `require_room` allows, as soon as it has done so.
    """
    try:
        if not path.name.lower().endswith(".gz"):
            with path.open("rb") as stream:
                yield stream
            return
        with gzip.open(path) as zipped:
            yield cast(IO[bytes], io.BufferedReader(_Counted(cast(IO[bytes], zipped), path), 1 << 20))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error


class _Counted(io.RawIOBase):
    """Counts what was read, with what rows and cells of it take in memory."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._packed, self._taken = stream, path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        rows, cells = data.count(b"\n"), max(map(data.count, _MARKS))
        self._taken += len(data) + rows * ROW + cells * _CELL
        require_room(self._taken, self._packed, str(self._path))
        buffer[: len(data)] = data
        return len(data)
