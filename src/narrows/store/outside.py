"""Files beside a store, where a user's own files lie, and perhaps a stranger's links.

What is written is a regular file with one name: never through a link, and never over a file of somebody's that merely
has a name which we would take. Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from narrows.store import durable

_LINK = "it is a symbolic link; name the file itself"
_KIND = "it is no regular file"
_NAMES = "it has other names (hard links), and they would be changed with it; remove this one first"


def replace(path: Path, data: bytes) -> None:
    """Puts `data` at `path` in one step: a kill leaves the whole old file or the whole new one.

    It is written under a random name first. OSError: it cannot be written, or what is there is no file to write over.
    """
    with suppress(FileNotFoundError):
        _require_ordinary(os.lstat(path), path)
    try:
        durable.put_through(path.with_name(f".{secrets.token_hex(12)}.new"), path, data)
    except OSError as error:  # the name that was given, not the one in between
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def replace_text(path: Path, text: str) -> None:
    """`replace`, in UTF-8; of a path's name that is no text the bytes are shown by their numbers."""
    replace(path, text.encode("utf-8", "backslashreplace"))


def open_to_append(path: Path, *, anew: bool = False) -> int:
    """A descriptor to read and append to `path`, made where there is none, emptied first where `anew`.

    OSError: it cannot be opened, or is a link, has several names, or is no regular file; then it is as it was.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, _LINK, os.fspath(path)) from error
        raise
    try:
        _require_ordinary(os.fstat(descriptor), path)
        if anew:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_ordinary(found: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, _LINK, os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, _KIND, os.fspath(path))
    if found.st_nlink > 1:
        raise OSError(errno.EMLINK, _NAMES, os.fspath(path))
