"""How much a file may unpack to: data are held in memory whole, and a small file may announce more than there is.

Knows no formats; what reads one says what it announces before it unpacks any of it.
"""

from __future__ import annotations

import os

from narrows.errors import ConfigError, DataError

FREE = 256 << 20
"""Bytes that any file may unpack to."""
RATIO = 100
"""Times its size on disk that a larger one may; tables of many equal values come near it, and bombs go beyond."""
ROW = 128
"""Bytes that a row takes beside its values: its id and its place in every list of rows."""
VARIABLE = "NARROWS_DATA_LIMIT"
"""The environment variable that says another limit, in MiB."""


def require_room(announced: int, packed: int | None, where: str) -> None:
    """Nothing where so many bytes may be unpacked.

    Args:
        announced: bytes in memory.
        packed: bytes they take on disk; None where the user asked for what is announced, so that only the machine's
            memory counts.
        where: the file, for the message.

    Raises:
        DataError: it is more than the limit; the message has both figures and says how to allow more.
        ConfigError: `NARROWS_DATA_LIMIT` is no number.

    >>> require_room(1 << 20, 10, "a.npz")
    >>> require_room(8 << 30, 800_000, "a.npz")
    Traceback (most recent call last):
    narrows.errors.DataError: a.npz unpacks to 8.0 GiB from 781.2 KiB on disk, and 256.0 MiB are allowed. ...
    """
    said, memory = _said(), _memory()
    allowed = said if said is not None else memory if packed is None else min(memory, max(FREE, RATIO * packed))
    if announced <= allowed:
        return
    size = f"unpacks to {in_units(announced)}" + ("" if packed is None else f" from {in_units(packed)} on disk")
    if said is None and allowed == memory:
        raise DataError(
            f"{where} {size}, and this machine has {in_units(memory)} of memory. Take fewer or smaller examples"
        )
    raise DataError(
        f"{where} {size}, and {in_units(allowed)} are allowed. If you know that it is right, allow more: "
        f"{VARIABLE}={-(-announced // (1 << 20))} in the environment (MiB)"
    )


def in_units(count: int) -> str:
    """A number of bytes for people.

    >>> in_units(800), in_units(256 << 20)
    ('800 bytes', '256.0 MiB')
    """
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def _said() -> int | None:
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"The environment variable {VARIABLE} is a whole number of MiB, as 4096; not {text!r}")
    return int(text[:12]) << 20


def _memory() -> int:
    """Bytes of memory that this machine has; more than any file where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on every system
        return 1 << 62
