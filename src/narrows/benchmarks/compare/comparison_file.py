"""compare.json read back: `Comparison` and its rows, with what in the file is not as narrows writes it.

A part that is damaged is left out, or taken as not measured, and named by its key; the rest is read. Knows no folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from narrows.benchmarks.compare.summary import FIGURES, VERSION, Comparison, Figure, Row, RunAccount
from narrows.errors import StoreError, StoreVersionError
from narrows.json_values import Damage, salvage
from narrows.store import strict_json

FORMAT: Final = "narrows-comparison"
_REMEDY: Final = "The same `narrows compare` writes it anew."


def load_comparison(file: str | os.PathLike[str]) -> Comparison:
    """The comparison in a compare.json.

    Raises:
        StoreVersionError: it is of a version that this narrows does not know.
        StoreError: it cannot be read, is no comparison, or a part of it is damaged; names file, key and remedy.
    """
    comparison, damage = read_comparison(file)
    if damage:
        raise StoreError(f"{file} is damaged at {damage[0]}. {_REMEDY}")
    return comparison


def read_comparison(file: str | os.PathLike[str]) -> tuple[Comparison, tuple[Damage, ...]]:
    """The same, without the parts that are damaged, and what these are.

    Raises:
        StoreVersionError: it is of a version that this narrows does not know.
        StoreError: it cannot be read, or is no comparison; names the file and the remedy.
    """
    comparison, damage = salvage(Comparison, _require_known(Path(file)), _fitted)
    return comparison, tuple(damage)


def _require_known(file: Path) -> dict[str, Any]:
    try:
        data = strict_json.read(file, finite=False)  # what is none is named by its key
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise StoreError(f"{file} is not valid JSON ({error}). {_REMEDY}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StoreError(f"{file} is not a comparison of narrows. {_REMEDY}")
    if data.get("version") != VERSION:
        raise StoreVersionError(
            f"{file} is a comparison of version {data.get('version')}, and this narrows knows version {VERSION} only; "
            "use the narrows that wrote it, or a newer one."
        )
    return data


def _fitted(kind: Any, found: Any, key: str, damage: list[Damage]) -> Any:
    """Rows and runs whose parts are as many as belong together; what is not counts as not measured."""
    if kind is RunAccount:
        return found | {"R": _matrix(found["R"], f"{key}.R", damage)}
    return _row(found, key, damage) if kind is Row else found


def _row(row: Row, key: str, damage: list[Damage]) -> Row:
    """With a value for each of its seeds in every figure, and a figure for each of its tasks or for none."""
    nothing = Figure(None, None, (None,) * len(row.seeds))
    figures = dict.fromkeys(FIGURES, nothing)
    for name in row.figures.keys() & figures:
        if _has_each(row, [row.figures[name]], f"{key}.figures.{name}", damage):
            figures[name] = row.figures[name]
    accuracy, used = (_along(row, name, f"{key}.{name}", damage) for name in ("accuracy", "used"))
    return replace(row, figures=figures, accuracy=accuracy, used=used)


def _along(row: Row, name: str, key: str, damage: list[Damage]) -> tuple[Figure, ...]:
    found: tuple[Figure, ...] = getattr(row, name)
    if len(found) != len(row.tasks):
        if not any(part.key.startswith(key) for part in damage):
            damage.append(Damage(key, f"{len(found)} figures stand there for {len(row.tasks)} tasks"))
        return ()
    return found if _has_each(row, found, key, damage) else ()


def _has_each(row: Row, figures: Sequence[Figure], key: str, damage: list[Damage]) -> bool:
    """Whether these figures have a value for each seed of the row."""
    counts = {len(figure.values) for figure in figures} - {len(row.seeds)}
    if counts:
        damage.append(Damage(key, f"{min(counts)} values stand there for {len(row.seeds)} seeds"))
    return not counts


def _matrix(rows: list[list[float | None]], key: str, damage: list[Damage]) -> list[list[float | None]]:
    """R with a row and a column for each task, or nothing."""
    if any(len(cells) < len(rows) for cells in rows):
        damage.append(Damage(key, "is no matrix with a row and a column for each task"))
        return []
    return [cells[: len(rows)] for cells in rows]
