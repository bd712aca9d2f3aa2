"""What a path holds: a store, a run, a result or a comparison, told apart by what stands in it.

Reads store.json, result.json and compare.json; no task, so damage in one does not keep the rest shut.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from narrows.benchmarks.compare.comparison_file import read_comparison
from narrows.benchmarks.compare.summary import Comparison
from narrows.benchmarks.results import Result
from narrows.errors import StoreError, StoreMissingError
from narrows.json_values import Damage
from narrows.store import strict_json
from narrows.store.names import STORE_FILE
from narrows.store.reader import StoreReader

Kind = Literal["store", "run", "result", "comparison"]
RESULT_FILE: Final = "result.json"
STORE_FOLDER: Final = "store"
COMPARISON_FILE: Final = "compare.json"
GRID_FILE: Final = "grid.json"
_FORMATS: Final = {"narrows-result": RESULT_FILE, "narrows-comparison": COMPARISON_FILE, "narrows-store": STORE_FILE}
_EXPECTED: Final = (
    "Give the folder of a store (with store.json), of a run (with result.json) or of a comparison (with compare.json), "
    "or one of these files."
)


@dataclass(frozen=True)
class Missing:
    """Something that is not there, so that what needs it is left out.

    Attributes:
        what: a short name: "result", "unread result", "store", "tasks", "reference", "complete", "same tasks",
            "comparison", "network".
        why: what was wrong with it, where it is there and cannot be read or made.
        remedy: the option of `narrows report` that gives it, or "".
    """

    what: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Subject:
    """What there is at a path.

    Attributes:
        kind: "store"; "run": the folder of a `narrows run`; "result": a result.json by itself; "comparison": the folder
            or the compare.json of a `narrows compare`.
        path: the folder, or the file of a result or comparison that is by itself.
        reader: of the store, where there is one.
        result: of the run, where there is one.
        missing: what is not there.
        comparison: the figures of a grid, where there are any; without the parts that are damaged.
        damage: these parts of compare.json.
    """

    kind: Kind
    path: Path
    reader: StoreReader | None = None
    result: Result | None = None
    missing: tuple[Missing, ...] = ()
    comparison: Comparison | None = None
    damage: tuple[Damage, ...] = ()


def open_subject(path: str | os.PathLike[str]) -> Subject:
    """What the folder or file at `path` holds.

    Raises:
        StoreMissingError: there is nothing of narrows there; says what was looked for, and what lies near.
        StoreVersionError: a store, result or comparison of a version that this narrows does not know.
        StoreError, DamagedStoreError: store.json or result.json is damaged, or compare.json is no comparison at all.
            A result.json that cannot be read beside a store is no error, but missing.

    >>> import tempfile, torch, narrows
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> subject = open_subject(path)
    >>> subject.kind, [missing.what for missing in subject.missing]
    ('store', ['result', 'tasks'])
    """
    where = Path(path)
    try:
        return _open(where)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{where} cannot be read ({error.strerror or error}).") from error


def _open(where: Path) -> Subject:
    if where.is_file():
        return _file(where)
    if not where.is_dir():
        if where.exists():
            raise StoreMissingError(f"{where} is a pipe or a device: save what it gives into a file. {_EXPECTED}")
        raise StoreMissingError(f"There is nothing at {where}. {_EXPECTED}")
    if (where / STORE_FILE).exists():
        return _store(where)
    if (where / COMPARISON_FILE).exists() or (where / GRID_FILE).exists():
        return _comparison(where, where / COMPARISON_FILE)
    if (where / RESULT_FILE).exists() or (where / STORE_FOLDER / STORE_FILE).exists():
        return _run(where)
    near = [str(child) for child in _children(where)][:5]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise StoreMissingError(f"There is no store, run or comparison in {where}.{hint} {_EXPECTED}")


def _file(where: Path) -> Subject:
    kind = _FORMATS.get(str(_head(where).get("format")))
    if kind == STORE_FILE and where.name == STORE_FILE:
        return _store(where.parent)
    if kind == COMPARISON_FILE:
        return _comparison(where.parent if where.name == COMPARISON_FILE else where, where)
    if kind != RESULT_FILE:
        raise StoreMissingError(f"{where} is no file that narrows can show. {_EXPECTED}")
    if where.name == RESULT_FILE and (where.parent / STORE_FOLDER / STORE_FILE).exists():
        return _run(where.parent)
    result = Result.load(where)
    return Subject("result", where, result=result, missing=(Missing("store"), *_gaps(result)))


def _store(where: Path) -> Subject:
    reader = StoreReader.open(where)
    return Subject("store", where, reader, None, (Missing("result"), *_emptiness(reader)))


def _run(where: Path) -> Subject:
    reader, result, missing = None, None, []
    stored = (where / STORE_FOLDER / STORE_FILE).exists()
    if (where / RESULT_FILE).exists():
        try:
            result = Result.load(where / RESULT_FILE)
        except StoreError as error:
            if not stored:
                raise
            missing.append(Missing("unread result", str(error)))
    else:
        missing.append(Missing("result"))
    if stored:
        reader = StoreReader.open(where / STORE_FOLDER)
        missing.extend(_emptiness(reader))
    else:
        missing.append(Missing("store"))
    if result is not None:
        missing.extend(_gaps(result))
    if reader and result and [task.name for task in result.tasks] != list(reader.task_names()):
        missing.append(Missing("same tasks"))
    return Subject("run", where, reader, result, tuple(missing))


def _comparison(where: Path, file: Path) -> Subject:
    if not file.exists():
        return Subject("comparison", where, missing=(Missing("comparison"),))
    comparison, damage = read_comparison(file)
    return Subject("comparison", where, missing=tuple(_open_ends(comparison)), comparison=comparison, damage=damage)


def _open_ends(comparison: Comparison) -> Iterator[Missing]:
    """What a grid that is under way, or failed in part, leaves out."""
    if not any(row.seeds for row in comparison.rows):
        yield Missing("comparison")
    elif not comparison.complete:
        yield Missing("complete")


def _gaps(result: Result) -> Iterator[Missing]:
    """What a sound result may leave out."""
    there = {"tasks": bool(result.tasks), "complete": result.complete, "reference": result.reference is not None}
    yield from (Missing(what) for what, is_there in there.items() if not is_there)


def _emptiness(reader: StoreReader) -> Iterator[Missing]:
    if not reader.task_names():
        yield Missing("tasks")


def _head(file: Path) -> dict[str, Any]:
    """The JSON object in `file`; StoreError if there is none."""
    try:
        return strict_json.read_object(file, finite=False)
    except ValueError as error:
        raise StoreError(f"{file} is not valid JSON ({error}). {_EXPECTED}") from error


def _children(where: Path) -> Iterator[Path]:
    for child in sorted(where.iterdir()):
        if child.is_dir() and any((child / file).exists() for file in (STORE_FILE, RESULT_FILE, COMPARISON_FILE)):
            yield child
