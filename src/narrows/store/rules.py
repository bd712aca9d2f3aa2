"""What values of store.json and task.json must be, as types; and how a file that has others is refused.

Touches no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from narrows.errors import StoreVersionError
from narrows.json_values import MisfitError, Rule, from_plain
from narrows.store import names
from narrows.store.durable import DamagedFileError


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


Sha256 = Annotated[str, Rule("be 64 lower-case hex digits", re.compile("[0-9a-f]{64}").fullmatch)]
Time = Annotated[str, Rule("be an ISO 8601 time", _is_time)]
Text = Annotated[str, Rule("be non-empty text", bool)]
TaskName = Annotated[str, Rule("be a task's name", lambda name: not names.name_fault(name))]
TaskDirectory = Annotated[
    str, Rule("be the plain name of a task's directory", lambda name: names.directory_index(name) is not None)
]


@contextmanager
def misfits_named(label: str, remedy: str) -> Iterator[None]:
    """What does not fit is damage of the file `label`."""
    try:
        yield
    except MisfitError as error:
        raise DamagedFileError(label, f"is not valid: {error}", remedy) from None


def version_of(values: Mapping[str, Any], expected: str, newest: int, label: str, remedy: str) -> int:
    """The version of a file of the format `expected`. StoreVersionError where it is above `newest`."""
    with misfits_named(label, remedy):
        if values.get("format") != expected:
            raise MisfitError("format", f"is not {expected!r}")
        version = from_plain(int, values.get("version"), "version")
    if not 1 <= version <= newest:
        raise StoreVersionError(
            f"{label} is of format version {version}, and this narrows knows versions up to {newest} only; "
            "use the narrows that wrote it, or a newer one"
        )
    return version
