"""Files read whole, none of them without end: the one way by which narrows reads what others may have put there.

A pipe, a device or a file larger than it can be is an OSError, and neither hangs nor fills the memory. Links are
followed. Knows nothing of what is read.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO, Final

_CHUNK: Final = 1 << 20


class UnfitFileError(OSError):
    """What lies there is no regular file, or has more bytes than such a file may: `what` says so, with the figure."""

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        super().__init__(errno.EINVAL, what, os.fspath(path))
        self.what = what


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. OSError: it is another, or cannot be read.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "notes.txt"
    >>> _ = file.write_bytes(b"twelve bytes")
    >>> read_bytes(file, 12)
    b'twelve bytes'
    >>> read_bytes(file, 11)
    Traceback (most recent call last):
    ...
    narrows.store.bounded.UnfitFileError: [Errno 22] has 12 bytes, more than 11: '...notes.txt'
    """
    size = 0
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = (file.read(size + 1) if size <= limit else None) or b""
            while size < len(data) <= limit and (more := file.read(_CHUNK)):  # it grows, or does not say its size
                data += more
    except (MemoryError, OverflowError) as error:
        raise OSError(errno.ENOMEM, f"there is no memory for its {size} bytes", os.fspath(path)) from error
    if max(size, len(data)) > limit:
        raise UnfitFileError(path, f"has {max(size, len(data))} bytes, more than {limit}")
    return data


def read_end(path: str | os.PathLike[str], limit: int) -> bytes:
    """The last bytes of a regular file, `limit` at most. OSError as `read_bytes`."""
    with open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
        return file.read(limit) or b""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, to be read. UnfitFileError: it is none. OSError: it cannot be opened."""
    return open(path, "rb", opener=_open)


def require_regular(path: str | os.PathLike[str]) -> None:
    """OSError as `open_regular`, of a file that others open by its name: a pipe would hang them."""
    with open_regular(path):
        pass


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe in a file's place would hang the reader for ever.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnfitFileError(path, "is not a regular file")
    return descriptor
