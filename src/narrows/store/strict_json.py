"""JSON without surprises: UTF-8, no duplicate keys, no NaN, bounded in memory and time.

The one reader of all JSON that narrows finds in files. Knows no store format.
"""

from __future__ import annotations

import errno
import json
import math
import os
from typing import Any, Final, NoReturn

from narrows.errors import StoreError
from narrows.store import bounded
from narrows.store.durable import RESTORE, DamagedFileError

MAX_JSON: Final = 64 << 20  # bytes
MAX_NESTING: Final = 100  # lists and objects within each other; far below where Python's own recursion ends
# A list takes thirty times the memory of its two characters: these two bound it to some 500 MB.
MAX_CONTAINERS: Final = 1_000_000  # lists and objects
MAX_VALUES: Final = 4_000_000  # and what they hold
MAX_DIGITS: Final = 308  # of a whole number: more is beyond every float
_NESTS: Final = (dict, list, tuple)
_DEEP: Final = f"it is nested more than {MAX_NESTING} deep"


def dump(value: dict[str, Any], label: str) -> bytes:
    """`value` as readable JSON bytes. StoreError if it is not plain JSON: NaN, odd types, too deep, over 64 MiB."""
    require_shallow(value, label)
    try:
        data = (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
        loads(data)  # what no reader would take must not be written
    except (TypeError, ValueError, RecursionError) as error:
        hint = "; where training has diverged, take a smaller learning rate" if "Out of range" in str(error) else ""
        raise StoreError(f"{label} cannot be written as JSON: {error}{hint}") from error
    if len(data) > MAX_JSON:
        raise StoreError(f"{label} would have {len(data)} bytes, more than {MAX_JSON}")
    return data


def require_shallow(value: Any, label: str) -> None:
    """StoreError if lists and dictionaries are nested so deeply that no reader would take them, or endlessly."""
    if _too_deep(value):
        raise StoreError(f"{label} cannot be written: more than {MAX_NESTING} lists or dictionaries within each other")


def canonical(value: Any) -> bytes:
    """The one JSON spelling that is hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def loads(data: bytes, *, finite: bool = True) -> Any:
    """The JSON value in `data`. ValueError: it is not valid, or beyond the limits above; says how.

    Without `finite` NaN and numbers beyond every float come through, for who says at which key they stand.

    >>> loads(b'{"steps": [1, 2.5]}')
    {'steps': [1, 2.5]}
    >>> loads(b'{"steps": 1, "steps": 2}')
    Traceback (most recent call last):
    ...
    ValueError: a key stands twice
    """
    for marks, limit, what in ((b"[{", MAX_CONTAINERS, "lists and objects"), (b"[{,", MAX_VALUES, "values")):
        count = sum(data.count(mark) for mark in marks)
        if count > limit:
            raise ValueError(f"it has {count} {what}, more than {limit}")
    numbers: dict[str, Any] = {"parse_constant": _refuse, "parse_float": _finite, "parse_int": _whole}
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, **(numbers if finite else {}))
    except RecursionError:
        raise ValueError(_DEEP) from None
    if _too_deep(value):
        raise ValueError(_DEEP)
    return value


def read(path: str | os.PathLike[str], *, finite: bool = True) -> Any:
    """The JSON value in a file. OSError: it cannot be read, or is too large. ValueError: as `loads`."""
    try:
        return loads(bounded.read_bytes(path, MAX_JSON), finite=finite)
    except MemoryError as error:
        raise OSError(errno.ENOMEM, "there is no memory for what it holds", os.fspath(path)) from error


def read_object(path: str | os.PathLike[str], *, finite: bool = True) -> dict[str, Any]:
    """The JSON object in a file. OSError, ValueError: as `read`."""
    found = read(path, finite=finite)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def parse(data: bytes, label: str, remedy: str = RESTORE) -> dict[str, Any]:
    """The JSON object in `data`; DamagedFileError, naming `label`, for anything else."""
    try:
        value = loads(data)
    except ValueError as error:
        raise DamagedFileError(label, f"is not valid JSON ({error})", remedy) from None
    except MemoryError as error:
        raise StoreError(f"{label} is not read: there is no memory for what it holds") from error
    if not isinstance(value, dict):
        raise DamagedFileError(label, "is not a JSON object", remedy)
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, _NESTS)]
        # Each once: it may be a ring.
        level = list({id(part): part for parts in inner for part in parts if isinstance(part, _NESTS)}.values())
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is out of range")
    return value


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits, more than {MAX_DIGITS}")
    return int(digits)
