"""Every value of every record that narrows keeps as JSON, replaced by hostile ones, behind checksums that fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asking
from fuzz_targets import seal
from mutations import HOSTILE

Steps = tuple[str | int, ...]
GONE = object()
"""In the place of a value: its key is taken out."""
VALUES: list[Any] = [
    *HOSTILE, GONE, -(2**63), 1e-320, 1e300, -1, 2, 10**9, [None], ["x", "x"], [0], [[0]], [1e308, -1e308], {"x": None},
    "\x1b[2J\u202e", "[/nope]", "2026-13-45T99:99:99", "0" * 64, "classification", "regression", "images", "table",
]  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A record of the world: where it lies, how it is put there so that its hashes fit, and who reads it."""

    name: str
    file: str
    asks: dict[str, asking.Ask]
    put: Callable[[Path, Any], None]
    read: Callable[[Path], Any]


def steps(value: Any, at: Steps = ()) -> Iterator[Steps]:
    """The way to each value within, and to the whole; of a list to its first and its last entry."""
    yield at
    if isinstance(value, dict):
        for key, part in value.items():
            yield from steps(part, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} if value else ()):
            yield from steps(value[index], (*at, index))


def forged(value: Any, at: Steps, new: Any) -> Any:
    """`value` with `new` at `at`, or without it where `new` is GONE."""
    if not at:
        return None if new is GONE else new
    first, *rest = at
    if isinstance(value, dict):
        if not rest and new is GONE:
            return {key: part for key, part in value.items() if key != first}
        return value | {first: forged(value[first], tuple(rest), new)}
    changed = list(value)
    if not rest and new is GONE:
        del changed[int(first)]
    else:
        changed[int(first)] = forged(value[int(first)], tuple(rest), new)
    return changed


def _spelled(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _put_header(path: Path, value: Any) -> None:
    path.write_bytes(seal(_spelled(value)) if isinstance(value, dict) else _spelled(value))


def _load_header(path: Path) -> Any:
    values = _load(path)
    del values["sha256"]
    return values


def _put_record(path: Path, value: Any) -> None:
    path.write_bytes(_spelled(value))
    header = path.parents[2] / "store.json"
    listed = _load_header(header)
    for task in listed["tasks"]:
        if task["directory"] == path.parent.name:
            task["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    _put_header(header, listed)


def _put(path: Path, value: Any) -> None:
    path.write_bytes(_spelled(value))


def _line(number: int) -> tuple[Callable[[Path, Any], None], Callable[[Path], Any]]:
    def put(path: Path, value: Any) -> None:
        lines = path.read_bytes().splitlines()
        lines[number] = json.dumps(value).encode()
        path.write_bytes(b"\n".join(lines) + b"\n")

    return put, lambda path: json.loads(path.read_bytes().splitlines()[number])


def records(world: Path) -> list[Record]:
    """All of them. A live file counts as one for each kind of line."""
    shop, desk = asking.of_store("shop", "light", "photos"), asking.of_store("desk", "deals", "deals.csv")
    found = [
        Record("store.json", "shop/store.json", shop, _put_header, _load_header),
        Record("task.json, images", "shop/tasks/0000-light/task.json", shop, _put_record, _load),
        Record("task.json, a table", "desk/tasks/0000-deals/task.json", desk, _put_record, _load),
        Record("result.json", "run/result.json", asking.RESULT, _put, _load),
        Record("compare.json", "grid/compare.json", asking.GRID, _put, _load),
        Record("grid.json", "grid/grid.json", asking.FOLDER, _put, _load),
    ]
    for live in ("run/live.jsonl", "shop/progress/more.live.jsonl"):
        kinds: dict[str, int] = {}
        for number, text in enumerate((world / live).read_bytes().splitlines()):
            kinds.setdefault(str(sorted(json.loads(text))), number)
        for number in kinds.values():
            found.append(Record(f"{Path(live).name}, line {number}", live, asking.LIVE, *_line(number)))
    return found
