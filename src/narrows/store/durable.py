"""Bytes to and from the disk: written so that they last, read so that damage shows.

Knows nothing of stores, tensors or JSON. Writers let OSError through; readers turn it into a message.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from narrows.errors import DamagedStoreError, StoreError
from narrows.store import bounded
from narrows.store.names import TEMPORARY_SUFFIX

RESTORE: Final = "restore this file from a backup; the other tasks can still be read"
_CHUNK: Final = 1 << 26
# What a failing disk or another kind of file in its place gives. The rest (no descriptors or memory left, no
# permission) is trouble of the reader's and no damage.
_DAMAGE: Final = {errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO}


class DamagedFileError(DamagedStoreError):
    """A DamagedStoreError that knows which file, what is wrong with it and what can be done."""

    def __init__(self, file: str, what: str, remedy: str = RESTORE) -> None:
        # All three stay in `args`, so that the error survives pickling between processes.
        super().__init__(file, what, remedy)
        self.file, self.what, self.remedy = file, what, remedy

    def __str__(self) -> str:
        return f"{self.file} {self.what}; {self.remedy}"


def sha256(data: bytes) -> str:
    """SHA-256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def write_new(path: Path, data: bytes) -> None:
    """Create `path` holding `data` and flush it to the disk. OSError if it exists or cannot be written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a kill leaves the whole old file or the whole new one.

    An OSError can come after the step itself (from the flush of the directory): the caller who must know
    whether the file is the new one has to look.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        write_new(temporary, data)
        os.replace(temporary, path)
    except (OSError, MemoryError):
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries (which names it holds) to the disk."""
    if os.name == "nt":  # Windows has no such call; its renames are journalled
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create `path` and its missing parents durably; nothing happens if it is there."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with suppress(FileExistsError):
        os.mkdir(path)
    sync_directory(path.parent)


def read(path: Path, label: str, limit: int, remedy: str = RESTORE) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; `label` names it in errors.

    DamagedFileError if it is missing, too large, not a file, or the disk fails; StoreError for other trouble.
    """
    try:
        return bounded.read_bytes(path, limit)
    except FileNotFoundError:
        raise DamagedFileError(label, "is missing", remedy) from None
    except bounded.UnfitFileError as error:
        raise DamagedFileError(label, error.what, remedy) from error
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise StoreError(f"{path} cannot be read: {error.strerror}; it may be whole") from error
        raise DamagedFileError(label, f"cannot be read ({error.strerror or error})", remedy) from error


def read_checked(path: Path, label: str, digest: str, size: int, remedy: str = RESTORE) -> bytes:
    """The bytes of a file that must have exactly this size (bytes) and SHA-256, else DamagedFileError."""
    with suppress(OSError):  # tell truncation apart from a file that outgrew its limit
        actual = os.stat(path).st_size
        if actual != size:
            raise DamagedFileError(label, f"has {actual} bytes and should have {size}", remedy)
    data = read(path, label, size, remedy)
    if len(data) != size:
        raise DamagedFileError(label, f"has {len(data)} bytes and should have {size}", remedy)
    if sha256(data) != digest:
        raise DamagedFileError(label, "was altered: its SHA-256 is not the recorded one", remedy)
    return data
