"""What a command found out as JSON: one form for all of them. Knows no command."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from narrows.cli.terminal import lost_output
from narrows.errors import OutputError

VERSION = 1

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output; see docs/production.md.")
]


def to_json(kind: str, values: Mapping[str, Any]) -> str:
    """One JSON object in ASCII: "format" (narrows-KIND), "version", and the values, plain. NaN and infinities are null.

    >>> print(to_json("tasks", {"used": float("nan"), "tasks": ("a",)}).replace("\\n", ""))
    { "format": "narrows-tasks", "version": 1, "used": null, "tasks": [  "a" ]}
    """
    return json.dumps({"format": f"narrows-{kind}", "version": VERSION, **plain(values)}, indent=1, allow_nan=False)


def print_json(kind: str, values: Mapping[str, Any]) -> None:
    """Prints `to_json`; see `print_whole`."""
    print_whole(to_json(kind, values) + "\n")


def print_whole(text: str) -> None:
    """Prints what a program asked for. OutputError: standard output takes no more, so some of it is lost."""
    sys.stdout.write(text)
    sys.stdout.flush()
    lost = lost_output()
    if lost is not None:
        raise OutputError(lost)


def plain(value: Any) -> Any:
    """`value` in what JSON has: dataclasses and mappings as objects, tuples as lists, paths as text, NaN as null.

    >>> plain({"loss": float("inf"), 1: (2, None)})
    {'loss': None, '1': [2, None]}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
