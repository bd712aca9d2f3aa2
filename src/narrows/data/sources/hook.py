"""A Python function of the user's that gives the data: `hook:package.module:function`.

It is code: it runs only where somebody passes such a name to a function of this package. Nothing here looks for such
names in stored files, and nobody should pass on a name that was read from one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np
import torch

from narrows.data.column import Column, Values, from_numpy
from narrows.data.sources.raw import Raw
from narrows.errors import DataError, nearest
from narrows.here import way_to

PREFIX = "hook:"


def open_hook(name: str) -> Raw:
    """Calls the function, without arguments. It returns (x, y), x alone, or an iterable of either (batches).

    x and y are tensors, arrays or lists, with as many rows.

    Raises:
        DataError: no such module or function, or it returned something else. What the function itself raises comes
            through as it is.
    """
    function = _function(name)
    try:
        result = function()
        batches = [result] if _is_batch(result) else _list(result, name)
    except DataError:
        raise
    except Exception as error:  # whatever the user's function may raise
        raise DataError(f"hook {name} failed: {type(error).__name__}: {error}") from error
    if not batches:
        raise DataError(f"{name} gave no data")
    pairs = [batch if isinstance(batch, tuple) else (batch, None) for batch in batches]
    if any(len(pair) != 2 for pair in pairs) or len({pair[1] is None for pair in pairs}) > 1:
        raise DataError(f"{name} must give (x, y), x alone, or an iterable of one of them")
    x = _join([pair[0] for pair in pairs], "x", name)
    if x.dtype.kind not in "biuf" or not len(x):
        raise DataError(f"{name}: x is an array of {x.dtype} {x.shape}; needs rows of numbers")
    y = None if pairs[0][1] is None else from_numpy("y", _join([pair[1] for pair in pairs], "y", name), name)

    def read(_: str) -> Column:
        assert y is not None
        return y

    return Raw(name, tuple(map(str, range(len(x)))), () if y is None else ("y",), read, array=x, as_is=True)


def _function(name: str) -> Callable[[], Any]:
    module_name, _, function_name = name.partition(":")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError) as error:
        way = way_to(error.name) if isinstance(error, ModuleNotFoundError) else ""
        raise DataError(f"hook {name}: the module {module_name!r} cannot be imported ({error}).{way}") from error
    function = getattr(module, function_name, None) if function_name else None
    if not callable(function):
        known = [known for known in vars(module) if not known.startswith("_")]
        raise DataError(
            f"hook {name}: {module_name} has no function {function_name!r}; {nearest(function_name, known)}. "
            "Say hook:package.module:function"
        )
    return function  # type: ignore[no-any-return]


def _is_batch(result: Any) -> bool:
    return hasattr(result, "shape") or (isinstance(result, tuple) and len(result) == 2)


def _list(result: Any, name: str) -> list[Any]:
    if not isinstance(result, Iterable):
        raise DataError(f"{name} returned {type(result).__name__}; needs (x, y), x alone, or an iterable of them")
    # A DataLoader gives its batches as lists.
    return [tuple(batch) if isinstance(batch, list) else batch for batch in result]


def _join(parts: list[Any], what: str, name: str) -> Values:
    try:
        arrays = [part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else np.asarray(part) for part in parts]
        return np.concatenate(arrays)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: {what} cannot be made one array: {error}") from error
