"""Commands that are suggested to the user, as a shell takes them. Knows no command."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def suggest(*words: str | Path) -> str:
    """A command of ours for a shell, quoted where that is needed.

    >>> shlex.split(suggest("show", Path("-my shop"), "it's"))[-3:]
    ['show', './-my shop', "it's"]
    """
    return shlex.join([*program(), *map(_word, words)])


def _word(word: str | Path) -> str:
    """A path that begins with a dash would be taken for an option."""
    return f".{os.sep}{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)


def program() -> tuple[str, ...]:
    """How to call this program: `narrows` where the shell finds this one by it, or else as it was called."""
    called = Path(sys.argv[0])
    by_module = called.name == "__main__.py"
    ours = Path(sys.executable).parent / "narrows" if by_module else called
    found = shutil.which("narrows")
    if found is not None and ours.exists() and os.path.samefile(found, ours):
        return ("narrows",)
    return (sys.orig_argv[0], "-m", "narrows") if by_module else (sys.argv[0],)
