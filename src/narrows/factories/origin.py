"""Where the code of a factory comes from, found without importing it. Knows no store, and not whom to trust."""

from __future__ import annotations

import hashlib
import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from narrows.errors import ConfigError
from narrows.here import found_here, top_level
from narrows.store.bounded import read_bytes

_MOST = 64 << 20  # bytes of a file of code


@dataclass(frozen=True)
class Origin:
    """Where a top-level module is from.

    Attributes:
        text: names it, and changes with it: an installed package, Python itself, a folder, or a file and its SHA-256.
        here: whether it was found in the current directory, and only there.
    """

    text: str
    here: bool = False


def origin_of(factory: str) -> Origin | None:
    """Of "package.module:name"; None where there is no such package to import.

    ConfigError: its file cannot be read.

    >>> origin_of("torch.nn:Linear"), origin_of("os:system"), origin_of("nowhere:net")
    (Origin(text='the installed package torch', here=False), Origin(text='Python itself', here=False), None)
    """
    name = top_level(factory)
    places = _places(name)
    if places is None:
        return None
    if name in sys.stdlib_module_names and (not places or _within(places[0], [sysconfig.get_path("stdlib")])):
        return Origin("Python itself")
    if not places:
        return Origin(f"{name} of this process")
    if all(_within(place, [*site.getsitepackages(), site.getusersitepackages()]) for place in places):
        return Origin(f"the installed package {name}")
    return Origin(" and ".join(map(_told, places)), found_here(name))


def _places(name: str) -> list[Path] | None:
    """Its folders, or its file; [] where it has none; None where there is no such module."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):  # as __main__, which has no spec
        file = getattr(sys.modules.get(name), "__file__", None)
        found = [file] if file else []
    else:
        if spec is None:
            return None
        found = list(spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else []))
    return [Path(os.path.realpath(place)) for place in found]


def _within(place: Path, roots: list[str]) -> bool:
    return any(place.is_relative_to(os.path.realpath(root)) for root in roots)


def _told(place: Path) -> str:
    if place.is_dir():
        return f"the folder {place}"
    try:
        digest = hashlib.sha256(read_bytes(place, _MOST)).hexdigest()
    except OSError as error:
        raise ConfigError(f"{place}, which is to build the model, cannot be read: {error.strerror}.") from error
    return f"the file {place} (SHA-256 {digest})"
