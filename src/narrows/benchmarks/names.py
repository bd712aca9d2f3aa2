"""The message for a name that is not in a table."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from narrows.errors import UnknownNameError


def nearest(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error to raise: it suggests the nearest name, or else lists them all."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    return UnknownNameError(f"there is no {kind} named {name!r}: {hint}")
