"""Optional dependencies, imported where they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from narrows.errors import DataError


def require(module: str, extra: str = "data") -> Any:
    """Imports a module of that extra of narrows.

    Raises:
        DataError: it is not installed; the message says how to.

    >>> require("json").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise DataError(f'this data set needs {module.partition(".")[0]}: pip install "narrows[{extra}]"') from error
