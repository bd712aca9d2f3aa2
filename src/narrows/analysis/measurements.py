"""What was measured of a store on examples, as plain values, and the file that remembers it.

An entry of the file is found by a key: the SHA-256 of everything that it depends on (weights, examples, options, the
version of the measurement). Whatever changes, the key changes, and the old entry is not used. A file that is damaged or
of another version is as good as none. Knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from narrows.analysis.attribution import Leaning
from narrows.analysis.check_results import CounterCheck
from narrows.analysis.similarity import Similarity
from narrows.errors import DataError
from narrows.json_values import from_plain, to_plain
from narrows.store import outside, strict_json
from narrows.store.durable import sha256

VERSION = 1
FORMAT = "narrows-measured"
T = TypeVar("T")


@dataclass(frozen=True)
class TaskMeasured:
    """One task.

    Attributes:
        task: its name.
        examples: it was measured on; `given`: how many there were.
        given: see there.
        start: accuracy of the network that it started from, where the run measured it (task.json `metrics`).
        leaning: what it leans on.
        check: the counter-check.
    """

    task: str
    examples: int
    given: int
    start: float | None
    leaning: Leaning
    check: CounterCheck


@dataclass(frozen=True)
class LeftOut:
    """A task that was not measured, and why."""

    task: str
    reason: str


@dataclass(frozen=True)
class Measurements:
    """Tasks measured on examples.

    Attributes:
        tasks: those with data, in the store's order.
        similarity: of their sub-networks; None with fewer than two.
        left_out: tasks that could not be measured.
    """

    tasks: tuple[TaskMeasured, ...]
    similarity: Similarity | None
    left_out: tuple[LeftOut, ...]

    def task(self, name: str) -> TaskMeasured | None:
        """One task; None where it was not measured."""
        return next((found for found in self.tasks if found.task == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; numbers keep every bit."""
        found: dict[str, Any] = to_plain(self)
        return {"format": FORMAT, "version": VERSION, **found}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Measurements:
        """What `to_json` gave.

        Raises:
            DataError: another version, or an entry that is missing, unknown or not valid; the message names it.
        """
        if not isinstance(values, Mapping) or (values.get("format"), values.get("version")) != (FORMAT, VERSION):
            raise DataError(f"this is no measurement of version {VERSION}: measure again")
        return from_plain(
            cls, {key: value for key, value in values.items() if key not in ("format", "version")}, "measured"
        )


class Cache:
    """A file of measurements by key; None keeps them in memory only.

    >>> cache = Cache(None)
    >>> cache.put("key", LeftOut("a", "no data"))
    >>> cache.get("key", LeftOut), cache.get("other", LeftOut)
    (LeftOut(task='a', reason='no data'), None)
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found = _read(path)
        self._used: dict[str, Any] = {}

    def get(self, key: str, kind: type[T]) -> T | None:
        """The entry of that key; None where there is none that can be read."""
        value = self._used.get(key, self._found.get(key))
        if value is None:
            return None
        try:
            found = from_plain(kind, value, "cache")
        except DataError:
            return None
        self._used[key] = value
        return found

    def put(self, key: str, value: Any) -> None:
        """Remembers an entry."""
        self._used[key] = to_plain(value)

    def save(self, *, finished: bool) -> None:
        """Writes the entries, whole or not at all; nothing is remembered where the file cannot be written.

        Args:
            finished: whether entries that nobody asked for or put since it was opened are out of date, and dropped.
        """
        entries = self._used if finished else self._found | self._used
        if self._path is None or entries == self._found:
            return
        values = {"format": FORMAT, "version": VERSION, "entries": entries}
        with suppress(OSError):
            outside.replace_text(self._path, json.dumps(values, allow_nan=False))


def key_of(*parts: Any) -> str:
    """SHA-256 of plain values, in hex."""
    return sha256(json.dumps([VERSION, *parts], sort_keys=True, default=to_plain).encode())


def _read(path: Path | None) -> dict[str, Any]:
    try:
        values = strict_json.read_object(path) if path is not None else {}
    except (OSError, ValueError):
        return {}
    sound = (values.get("format"), values.get("version")) == (FORMAT, VERSION)
    entries = values.get("entries") if sound else None
    return entries if isinstance(entries, dict) else {}
