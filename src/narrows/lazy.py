"""Names of a package that are imported when they are first asked for (PEP 562), so that importing it costs nothing.

Knows no module of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(package: str, *modules: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `package`: a name of its `__all__` is from the first of `modules` that has it.

    Modules are imported in their order until one has the name, so cheap ones go first; AttributeError where none has.

    Args:
        modules: relative to the package, as ".records".
    """

    def find(name: str) -> Any:
        here = sys.modules[package]
        if name in here.__all__:
            for module in modules:
                found = import_module(module, package)
                if hasattr(found, name):
                    setattr(here, name, getattr(found, name))
                    return getattr(found, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        here = sys.modules[package]
        return sorted({*vars(here), *here.__all__})

    return find, names
