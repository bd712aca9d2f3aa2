"""A failed allocation, told as an error of our own. Knows no store and no tensor: libraries say it in words."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from narrows.errors import NarrowsError, StoreError

_SAID: Final = (
    "not enough memory",
    "allocate memory",
    "failed to allocate",
    "start new thread",
    "out of memory",
    "bad_alloc",
    "bad allocation",
)
_BESIDE: Final = 16 << 20
"""Bytes that must be free beside those that are asked for: there are always more allocations than one."""


def is_shortage(error: BaseException) -> bool:
    """Whether there was not the memory for something: torch says so in a RuntimeError, safetensors panics of a null.

    >>> is_shortage(MemoryError()), is_shortage(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    (True, True)
    >>> is_shortage(RuntimeError("shapes do not fit"))
    False
    """
    if isinstance(error, NarrowsError):
        return False
    said = str(error).lower()
    if type(error).__name__ == "PanicException":  # of pyo3, which has it in no module that can be imported
        return "pointer is null" in said or "memory" in said
    telling = isinstance(error, RuntimeError | OSError)
    return isinstance(error, MemoryError) or (telling and any(words in said for words in _SAID))


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Within, a failed allocation is a StoreError that says what it was for; its notes say what was done before it."""
    try:
        yield
    except BaseException as error:
        if not is_shortage(error):
            raise
        raise StoreError(f"there is not enough memory to {what} ({told(error)}); free some, and do it again") from error


def require_room(size: int, what: str) -> None:
    """StoreError where there is no memory for `size` bytes, before a library asks for them that dies of having none.

    The memory is asked for and given back at once, without being touched.
    """
    try:
        mmap.mmap(-1, size + _BESIDE).close()
    except (OSError, MemoryError, ValueError, OverflowError) as error:
        raise StoreError(f"{what}: there is no memory for {size} bytes; free some, and do it again") from error


def told(error: BaseException) -> str:
    """One line of it, and its notes: what was done before it came."""
    line = str(error).partition("\n")[0][:200] or type(error).__name__
    return " ".join((line, *getattr(error, "__notes__", ())))
