"""Typed access to the entries of a JSON object, with errors that name the file. Knows no store format."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NoReturn

from narrows.errors import StoreVersionError
from narrows.store.durable import RESTORE, DamagedFileError

MAX_SIZES: Final = 64  # of a shape: as many dimensions as torch knows
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


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

    def objects(self, key: str, most: int) -> list[Fields]:
        """Typed access to each object of the list at `key`, of which there may be `most`."""
        found = []
        for position, value in enumerate(self._list(key, most)):
            if not isinstance(value, dict):
                self.fail(f"{key}[{position}]", "should be an object")
            found.append(Fields(value, self.label, self._remedy, f"{self._where}{key}[{position}]."))
        return found

    def texts(self, key: str, most: int | None = None) -> tuple[str, ...]:
        """The list of texts at `key`, of which there may be `most`."""
        values = self._list(key, most)
        if not all(isinstance(value, str) for value in values):
            self.fail(key, "should hold only texts")
        return tuple(values)

    def shape(self, key: str) -> tuple[int, ...]:
        """The tensor shape at `key`."""
        values = self._list(key, MAX_SIZES)  # the product of more would take time without end
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

    def _list(self, key: str, most: int | None = None) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            self.fail(key, "should be a list")
        if most is not None and len(value) > most:
            self.fail(key, f"has {len(value)} entries, more than {most}")
        return list(value)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def version_of(fields: Fields, expected: str, newest: int) -> int:
    """The version of a file of the format `expected`. StoreVersionError where it is above `newest`."""
    if fields.get("format") != expected:
        fields.fail("format", f"is not {expected!r}")
    version = fields.integer("version")
    if not 1 <= version <= newest:
        raise StoreVersionError(
            f"{fields.label} is of format version {version}, and this narrows knows versions up to {newest} only; "
            "use the narrows that wrote it, or a newer one"
        )
    return version
