"""compare.json read back: `Comparison` and its rows, with what in the file is not as narrows writes it.

A part that is damaged is left out, or taken as not measured, and named by its key; the rest is read. Knows no folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from narrows.benchmarks.compare.places import Damage, Place, count, items, mapping, number, numbers, text, whole
from narrows.benchmarks.compare.summary import FIGURES, VERSION, Comparison, Figure, Row
from narrows.errors import StoreError, StoreVersionError
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
    damage: list[Damage] = []
    data = Place(_require_known(Path(file)), "", damage)
    comparison = Comparison(
        grid=data.get("grid", mapping, {}),
        rows=tuple(data.each("rows", _row)),
        failures=tuple(data.each("failures", _failure)),
        left=data.get("left", count, 0),
        runs=tuple(data.each("runs", _run)),
        notes=tuple(data.each("notes", text)),
        command=tuple(data.each("command", text)),
    )
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


def _row(row: Place) -> Row:
    """A row; it is left out where it does not say what was run, and with which seeds."""
    seeds = tuple(map(whole, items(row.child("seeds"))))
    tasks = tuple(map(text, items(row.child("tasks"))))
    return Row(
        label=text(row.child("label")),
        method=text(row.child("method")),
        settings=row.get("settings", mapping, {}),
        epochs=count(row.child("epochs")),
        lr=row.get("lr", number, None),
        values=row.get("values", numbers, {}),
        tried=tuple(row.each("tried", _trial)),
        seeds=seeds,
        asked=count(row.child("asked")),
        figures=_figures(row, len(seeds)),
        tasks=tasks,
        accuracy=_along(row, "accuracy", len(tasks), len(seeds)),
        used=_along(row, "used", len(tasks), len(seeds)),
    )


def _figures(row: Place, seeds: int) -> dict[str, Figure]:
    """By name; what is not there was not measured."""
    nothing = Figure(None, None, (None,) * seeds)
    known = row.get("figures", mapping, {})
    if not known:
        return dict.fromkeys(FIGURES, nothing)
    place = row.child("figures")
    return {
        name: place.get(name, lambda found: _figure(found, seeds), nothing) if name in known else nothing
        for name in FIGURES
    }


def _along(row: Place, name: str, tasks: int, seeds: int) -> tuple[Figure, ...]:
    """A figure for each task; none where there is not one for each."""

    def read(place: Place) -> tuple[Figure, ...]:
        found = tuple(_figure(item, seeds) for item in items(place))
        if len(found) != tasks:
            raise place.wrong(f"{len(found)} figures stand there for {tasks} tasks")
        return found

    return row.get(name, read, ())


def _figure(figure: Place, seeds: int) -> Figure:
    values = tuple(number(value) for value in items(figure.child("values")))
    if len(values) != seeds:
        raise figure.wrong(f"{len(values)} values stand there for {seeds} seeds")
    return Figure(number(figure.child("mean")), number(figure.child("se")), values)


def _trial(trial: Place) -> dict[str, Any]:
    known = mapping(trial)
    return {
        "values": numbers(trial.child("values")),
        "accuracy": trial.get("accuracy", number, None),
        "reason": text(trial.child("reason")) if known.get("reason") else "",
    }


def _failure(failure: Place) -> Mapping[str, str]:
    return {name: text(failure.child(name)) for name in ("job", "reason")}


def _run(run: Place) -> dict[str, Any]:
    return {
        "label": text(run.child("label")),
        "epochs": count(run.child("epochs")),
        "seed": whole(run.child("seed")),
        "worker": text(run.child("worker")),
        "config": mapping(run.child("config")),
        "environment": mapping(run.child("environment")),
        "R": run.get("R", _matrix, []),
    }


def _matrix(place: Place) -> list[list[float | None]]:
    rows = [[number(cell) for cell in items(row)] for row in items(place)]
    if any(len(row) < len(rows) for row in rows):
        raise place.wrong("is no matrix with a row and a column for each task")
    return [row[: len(rows)] for row in rows]
