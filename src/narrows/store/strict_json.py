"""JSON without surprises: UTF-8, no duplicate keys, no NaN, typed access with errors that name the file.

Knows no store format.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NoReturn

from narrows.errors import StoreError
from narrows.store.durable import RESTORE, DamagedFileError

MAX_JSON: Final = 64 << 20  # bytes
MAX_NESTING: Final = 100  # lists and objects within each other; far below where Python's own recursion ends
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def dump(value: dict[str, Any], label: str) -> bytes:
    """`value` as readable JSON bytes.

    StoreError if it is not plain JSON (NaN, odd types), too deep, over 64 MiB, or holds a number beyond every float.
    """
    require_shallow(value, label)
    if _beyond_floats(value):
        raise StoreError(f"{label} cannot be written as JSON: a whole number in it is beyond every float")
    try:
        data = (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
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


def parse(data: bytes, label: str, remedy: str = RESTORE) -> Fields:
    """The JSON object in `data`; DamagedFileError, naming `label`, for anything else."""
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(label, f"is not valid JSON ({error})", remedy) from None
    if not isinstance(value, dict):
        raise DamagedFileError(label, "is not a JSON object", remedy)
    if _too_deep(value):
        raise DamagedFileError(label, f"is not valid JSON: nested more than {MAX_NESTING} deep", remedy)
    return Fields(value, label, remedy)


class Fields:
    """Typed access to one JSON object of the file `label`; every misfit is a DamagedFileError."""

    def __init__(self, values: dict[str, Any], label: str, remedy: str = RESTORE, where: str = "") -> None:
        self.values, self.label, self._remedy, self._where = values, label, remedy, where

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise DamagedFileError about the entry `key`."""
        raise DamagedFileError(self.label, f"is not valid: {self._where}{key} {what}", self._remedy)

    def get(self, key: str) -> Any:
        """The entry `key`, whatever it is."""
        if key not in self.values:
            self.fail(key, "is missing")
        return self.values[key]

    def has(self, key: str) -> bool:
        """Whether there is an entry `key` that is not null."""
        return self.values.get(key) is not None

    def text(self, key: str, accept: Callable[[str], bool] = bool, should: str = "be non-empty text") -> str:
        """The text at `key`, which `accept` must accept; `should` says what it should be."""
        value = self.get(key)
        if not isinstance(value, str) or not accept(value):
            self.fail(key, f"should {should}")
        return str(value)

    def sha256(self, key: str) -> str:
        """The SHA-256 at `key`, 64 lower-case hex digits."""
        return self.text(key, lambda text: bool(_SHA256.fullmatch(text)), "be 64 lower-case hex digits")

    def time(self, key: str) -> str:
        """The ISO 8601 time at `key`, as it is written."""
        return self.text(key, _is_time, "be an ISO 8601 time")

    def integer(self, key: str) -> int:
        """The integer at `key`, zero or more."""
        value = self.get(key)
        if type(value) is not int or not 0 <= value < 1 << 63:
            self.fail(key, "should be an integer, zero or more")
        return int(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """The plain JSON object at `key`."""
        value = self.get(key)
        if not isinstance(value, dict):
            self.fail(key, "should be an object")
        return dict(value)

    def optional_mapping(self, key: str) -> dict[str, Any] | None:
        """The plain JSON object at `key`, or None for null."""
        return None if self.get(key) is None else self.mapping(key)

    def inside(self, key: str) -> Fields:
        """Typed access to the object at `key`."""
        return Fields(self.mapping(key), self.label, self._remedy, f"{self._where}{key}.")

    def objects(self, key: str) -> list[Fields]:
        """Typed access to each object of the list at `key`."""
        found = []
        for position, value in enumerate(self._list(key)):
            if not isinstance(value, dict):
                self.fail(f"{key}[{position}]", "should be an object")
            found.append(Fields(value, self.label, self._remedy, f"{self._where}{key}[{position}]."))
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts at `key`."""
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            self.fail(key, "should hold only texts")
        return tuple(values)

    def shape(self, key: str) -> tuple[int, ...]:
        """The tensor shape at `key`."""
        values = self._list(key)
        if not all(type(value) is int and 0 <= value < 1 << 63 for value in values):
            self.fail(key, "should hold only sizes, zero or more")
        return tuple(values)

    def seconds(self, key: str) -> float | None:
        """The duration at `key` in seconds, or None for null."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
            self.fail(key, "should be seconds, zero or more, or null")
        return float(value)

    def _list(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            self.fail(key, "should be a list")
        return list(value)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        nests = [node for node in level if isinstance(node, dict | list | tuple)]
        inner = [node.values() if isinstance(node, dict) else node for node in nests]
        level = list({id(part): part for parts in inner for part in parts}.values())  # each once: it may be a ring
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
        raise ValueError(f"{digits} is out of range")
    return value


def _whole(digits: str) -> int:
    """A number that cannot be a float is refused here: whoever reckons with it would raise."""
    value = int(digits)
    if _beyond_floats(value):
        raise ValueError(f"{digits[:20]}... is out of range")
    return value


def _beyond_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_beyond_floats, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_beyond_floats, value))
    return isinstance(value, int) and abs(value) > sys.float_info.max


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
