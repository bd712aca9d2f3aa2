"""Frozen dataclasses as plain JSON values and back, strictly. Knows no particular class.

What a field may be stands in its type hint: bool, int, float, str, a Literal, a tuple[X, ...], another dataclass,
X | None, or a choice of dataclasses, told apart by a field `type` that is a Literal in each.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from narrows.errors import DataError, nearest

T = TypeVar("T")
_LARGEST = sys.float_info.max


def to_plain(value: Any) -> Any:
    """Dataclasses as dicts and tuples as lists; the rest as it is.

    >>> to_plain((1, "a"))
    [1, 'a']
    """
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], value: Any, where: str) -> T:
    """The instance of `kind` that `to_plain` gave as `value`.

    Raises:
        DataError: naming the key, below `where`, that is missing, unknown or not of its type.

    >>> from_plain(tuple[int, ...], [1, 2], "shape")
    (1, 2)
    """
    return cast(T, _read(kind, value, where))


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _choice(get_args(hint), value, where)
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            _fail(where, f"should be one of {', '.join(map(repr, get_args(hint)))}", value)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            _fail(where, "should be a list", value)
        return tuple(_read(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if is_dataclass(hint):
        return _object(hint, value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -_LARGEST <= value <= _LARGEST:
            _fail(where, "should be a finite number", value)
        return float(value)
    if hint is int and (type(value) is not int or not 0 <= value < 1 << 53):
        _fail(where, "should be a whole number, zero or more", value)
    if type(value) is not hint:
        _fail(where, f"should be {'text' if hint is str else 'true or false'}", value)
    return value


def _choice(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in hints:
        return None
    kinds = [hint for hint in hints if hint is not NoneType]
    if len(kinds) == 1:
        return _read(kinds[0], value, where)
    types = {get_args(get_type_hints(kind)["type"])[0]: kind for kind in kinds}
    if not isinstance(value, dict):
        _fail(where, "should be an object", value)
    if not isinstance(value.get("type"), str) or value["type"] not in types:
        _fail(f"{where}.type", f"should be one of {', '.join(types)}", value.get("type"))
    return _read(types[value["type"]], value, where)


def _object(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        _fail(where, "should be an object", value)
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for field in fields(kind):
        name = field.name
        if name not in value and field.default is MISSING:  # what was added later has a default
            raise DataError(f"{where}.{name} is missing")
    for name in value:
        if name not in names:
            raise DataError(f"{where} has no entry {name!r}; {nearest(str(name), names)}")
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in value})


def _fail(where: str, what: str, value: Any) -> NoReturn:
    text = repr(value)
    raise DataError(f"{where} {what}, not {text if len(text) <= 40 else text[:37] + '...'}")
