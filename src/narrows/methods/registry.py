"""The one list of methods, and how their options are read from text."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from narrows.errors import ConfigError, UnknownNameError, nearest
from narrows.methods.base import Method
from narrows.methods.dense import Finetune, Independent, Joint
from narrows.methods.ewc import EWC
from narrows.methods.hat import HAT
from narrows.methods.ibm import IBM
from narrows.methods.magnitude import Magnitude
from narrows.methods.packnet import PackNet
from narrows.methods.supsup import SupSup
from narrows.methods.wsn import WSN
from narrows.pairs import json_value

METHODS: dict[str, type[Method]] = {
    kind.name: kind for kind in (IBM, WSN, PackNet, Magnitude, SupSup, HAT, EWC, Finetune, Independent, Joint)
}


def make_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """A method by name, with options given as values or, as on the command line, as text.

    Raises:
        UnknownNameError: no such method or option; the nearest is suggested.
        ConfigError: a value of the wrong type or out of range.

    >>> make_method("ibm", {"density": "0.03"}).density
    0.03
    """
    if name not in METHODS:
        raise UnknownNameError(f"there is no method named {name!r}: {nearest(name, METHODS)}")
    kind = METHODS[name]
    types_of = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    values = {}
    for option, value in (options or {}).items():
        if option not in known:
            raise UnknownNameError(f"{name} has no option {option!r}: {nearest(option, known)}")
        values[option] = _read(f"{name}: {option}", value, types_of[option])
    return kind(**values)


def _read(what: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`, text being read as `json_value` does where the type is not text."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or value in ("none", "null", "None"):
            return None
        return _read(what, value, next(argument for argument in arguments if argument is not type(None)))
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{what} is one of {', '.join(map(str, arguments))}; got {value!r}.")
        return value
    if hint is str:
        return str(value)
    parsed = json_value(value) if isinstance(value, str) else value
    if hint is bool and isinstance(parsed, bool):
        return parsed
    if hint is float and isinstance(parsed, int | float) and not isinstance(parsed, bool):
        return float(parsed)
    if hint is int and isinstance(parsed, int) and not isinstance(parsed, bool):
        return parsed
    if origin is tuple and isinstance(parsed, list | tuple) and len(parsed) == len(arguments):
        return tuple(_read(what, part, kind) for part, kind in zip(parsed, arguments, strict=True))
    raise ConfigError(f"{what} takes {getattr(hint, '__name__', hint)}; got {value!r}.")
