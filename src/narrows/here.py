"""A module of the user's in the current directory can be imported by its name, and nothing else that lies there.

A folder on `sys.path` is open to every import of the process: torch and pandas try dozens of modules that are seldom
installed, and a file of that name beside a store would run. Here a name is said, and only this one is found. Knows no
store.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType


class _Source(SourceFileLoader):
    """Runs the file itself, whatever a `__pycache__` that came along with it says it is."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Here(MetaPathFinder):
    """Finds one top-level module or package in one folder; it stands last, so an installed one comes first."""

    def __init__(self, name: str, folder: str) -> None:
        self.name, self.folder, self.gave = name, folder, False

    def find_spec(self, fullname: str, path: Sequence[str] | None, _: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.name or path is not None:
            return None
        spec = PathFinder.find_spec(fullname, [self.folder])
        if (
            spec is not None
            and spec.origin
            and type(spec.loader) is SourceFileLoader
            and not spec.loader.is_package(fullname)
        ):
            spec.loader = _Source(fullname, spec.origin)
        self.gave |= spec is not None
        return spec


def top_level(dotted: str) -> str:
    """
    >>> top_level("shop.nets:build")
    'shop'
    """
    return dotted.partition(":")[0].partition(".")[0]


def look_here(dotted: str) -> MetaPathFinder:
    """The top-level module of `dotted` is found in the current directory from now on, where it is nowhere else."""
    finder = _Here(top_level(dotted), os.getcwd())
    sys.meta_path.append(finder)
    return finder


@contextmanager
def looking_here(dotted: str) -> Iterator[None]:
    """`look_here`, taken back where the block raises: then nobody has said that the module may be imported."""
    finder = look_here(dotted)
    try:
        yield
    except BaseException:
        sys.meta_path.remove(finder)
        raise


def found_here(name: str) -> bool:
    """Whether a top-level module was found by `looking_here`."""
    return any(isinstance(finder, _Here) and finder.name == name and finder.gave for finder in sys.meta_path)


def way_to(missing: str | None) -> str:
    """What to say besides where a module is not found that lies beside the user's own; "" where it does not."""
    names = sorted({finder.name for finder in sys.meta_path if isinstance(finder, _Here)})
    name = top_level(missing or "")
    if not names or not name or name in names or PathFinder.find_spec(name, [os.getcwd()]) is None:
        return ""
    return (
        f" There is a {name!r} in the current directory, but only {', '.join(map(repr, names))} is taken from there: "
        "set PYTHONPATH=. for the command, or put both into one package."
    )
