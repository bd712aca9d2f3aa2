"""JSON values to dataclasses and back, by their type hints: strictly, or without the parts that are damaged.

What a value may be stands in the hint: bool, int (zero or more), float (finite), str, a Literal, Any, tuple[X, ...] or
list[X], Mapping[str, X] or dict[str, X], a dataclass, a TypedDict, X | None, a choice of dataclasses, told apart by a
field `type` that is a Literal in each, or `Annotated` with a `Rule`, `Most` or `EACH`. Knows no file and no class.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from narrows.errors import DataError, nearest

T = TypeVar("T")
EACH: Final = "each"
"""In the hint of a list: one of its items that is damaged is left out by `salvage`, and not the whole list."""
_LARGEST: Final = sys.float_info.max
_SHOWN: Final = 40  # characters of a value


@dataclass(frozen=True)
class Rule:
    """In the hint of a value: what it must be beside its type. `should` ends the sentence "it should ..."."""

    should: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class Most:
    """In the hint of a list: how many entries it may have."""

    entries: int


@dataclass(frozen=True)
class Damage:
    """A part of a file that cannot be read.

    Attributes:
        key: where it stands, as "rows[2].figures.ACC".
        why: what is wrong there.
    """

    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {self.why}"


Fit = Callable[[Any, Any, str, list[Damage]], Any]
"""(kind, object of that kind, its key, damage so far) -> the object as it is to be taken."""


class MisfitError(DataError):
    """What stands at a key is not what should; `damage` says where and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key} {why}" if key else why)
        self.damage = Damage(key, why)


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


def from_plain(kind: type[T], value: Any, where: str = "", *, unknown: bool = False) -> T:
    """The instance of `kind` that `to_plain` gave as `value`. What was added later has a default and may be missing.

    Args:
        where: the key that `value` stands at, for messages.
        unknown: whether entries that `kind` has not are passed over.

    Raises:
        MisfitError: a DataError; names the key that is missing, unknown or not of its type.

    >>> from_plain(tuple[int, ...], [1, 2], "shape")
    (1, 2)
    >>> from_plain(tuple[int, ...], [1, -2], "shape")
    Traceback (most recent call last):
    narrows.json_values.MisfitError: shape[1] should be a whole number, zero or more, not -2
    """
    return cast(T, _Reader(unknown).read(kind, value, where))


def salvage(kind: type[T], value: Any, fit: Fit | None = None) -> tuple[T, list[Damage]]:
    """As `from_plain`, without the parts that are damaged, and what these are.

    What may be null is null where it is damaged; what has a default has it where it is damaged or missing; entries of a
    mapping, and items of a list that is marked `EACH`, are left out. Unknown entries are passed over.

    Args:
        fit: makes the parts of each object that was read fit each other, and adds what does not to the damage.

    Raises:
        MisfitError: so much is damaged that there is nothing left.

    >>> salvage(dict[str, float | None], {"a": 1, "b": "x"})
    ({'a': 1.0, 'b': None}, [Damage(key='b', why="should be a finite number, not 'x'")])
    """
    reader = _Reader(True, [], fit)
    return cast(T, reader.read(kind, value, "")), reader.damage or []


class _Reader:
    """Reads values; with a list of damage it adds to that, and goes on, where it can."""

    def __init__(self, unknown: bool, damage: list[Damage] | None = None, fit: Fit | None = None) -> None:
        self._unknown, self.damage, self._fit = unknown, damage, fit

    def read(self, hint: Any, value: Any, where: str) -> Any:
        origin = get_origin(hint)
        if origin is Annotated:
            return self._annotated(hint, value, where)
        if origin in (Union, UnionType):
            return self._choice(get_args(hint), value, where)
        if origin is Literal:
            if not isinstance(value, str) or value not in get_args(hint):
                _fail(where, f"should be one of {', '.join(map(repr, get_args(hint)))}", value)
            return value
        if origin in (tuple, list):
            return origin(self._items(get_args(hint)[0], value, where))
        if origin in (dict, Mapping):
            return self._mapping(get_args(hint)[1], value, where)
        if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, dict)):
            found = hint(**self._entries(hint, value, where))
            return found if self._fit is None or self.damage is None else self._fit(hint, found, where, self.damage)
        return value if hint is Any else _scalar(hint, value, where)

    def _salvaged(self, hint: Any, value: Any, where: str, otherwise: Any) -> Any:
        """What stands there, or `otherwise` where that is damaged and damage is collected."""
        try:
            return self.read(hint, value, where)
        except MisfitError as error:
            if self.damage is None:
                raise
            self.damage.append(error.damage)
            return otherwise

    def _annotated(self, hint: Any, value: Any, where: str) -> Any:
        inner, *marks = get_args(hint)
        for mark in marks:
            if isinstance(mark, Most) and isinstance(value, list) and len(value) > mark.entries:
                raise MisfitError(where, f"has {len(value)} entries, more than {mark.entries}")
        if EACH in marks:
            found = self._items(get_args(inner)[0], value, where, leave_out=True)
            return get_origin(inner)(item for item in found if item is not MISSING)
        found = self.read(inner, value, where)
        for mark in marks:
            if isinstance(mark, Rule) and not mark.accepts(found):
                _fail(where, f"should {mark.should}", value)
        return found

    def _items(self, hint: Any, value: Any, where: str, leave_out: bool = False) -> list[Any]:
        if not isinstance(value, list):
            _fail(where, "should be a list", value)
        if leave_out:
            return [self._salvaged(hint, item, f"{where}[{i}]", MISSING) for i, item in enumerate(value)]
        return [self.read(hint, item, f"{where}[{i}]") for i, item in enumerate(value)]

    def _mapping(self, hint: Any, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            _fail(where, "should be an object", value)
        if hint is Any:
            return value
        found = {name: self._salvaged(hint, held, _below(where, name), MISSING) for name, held in value.items()}
        return {name: held for name, held in found.items() if held is not MISSING}

    def _choice(self, hints: tuple[Any, ...], value: Any, where: str) -> Any:
        if value is None and NoneType in hints:
            return None
        kinds = [hint for hint in hints if hint is not NoneType]
        if len(kinds) == 1:
            return self._salvaged(kinds[0], value, where, None)
        types = {get_args(_hints(kind)["type"])[0]: kind for kind in kinds}
        if not isinstance(value, dict):
            _fail(where, "should be an object", value)
        if not isinstance(value.get("type"), str) or value["type"] not in types:
            _fail(_below(where, "type"), f"should be one of {', '.join(types)}", value.get("type"))
        return self.read(types[value["type"]], value, where)

    def _entries(self, kind: Any, value: Any, where: str) -> dict[str, Any]:
        """The entries of an object that are there, and those that have no default."""
        if not isinstance(value, dict):
            _fail(where, "should be an object", value)
        hints, optional = _hints(kind), _optional(kind)
        for name in value if not self._unknown else ():
            if name not in hints:
                raise MisfitError(where, f"has no entry {name!r}; {nearest(str(name), hints)}")
        found: dict[str, Any] = {}
        for name, hint in hints.items():
            below = _below(where, name)
            if name in value:
                if name in optional:
                    found[name] = self._salvaged(hint, value[name], below, MISSING)
                else:
                    found[name] = self.read(hint, value[name], below)
            elif name not in optional:
                raise MisfitError(below, "is missing")
            elif self.damage is not None:
                self.damage.append(Damage(below, "is missing"))
        return {name: held for name, held in found.items() if held is not MISSING}


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -_LARGEST <= value <= _LARGEST:
            _fail(where, "should be a finite number", value)
        return float(value)
    if hint is int and (type(value) is not int or not 0 <= value < 1 << 63):
        _fail(where, "should be a whole number, zero or more", value)
    if type(value) is not hint:
        _fail(where, f"should be {'text' if hint is str else 'true or false'}", value)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The fields that are read, with their hints."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind) if field.init} if is_dataclass(kind) else hints


@cache
def _optional(kind: Any) -> frozenset[str]:
    """The fields that have a default."""
    held = fields(kind) if is_dataclass(kind) else ()
    return frozenset(f.name for f in held if f.default is not MISSING or f.default_factory is not MISSING)


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _fail(where: str, what: str, value: Any) -> NoReturn:
    text = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    raise MisfitError(where, f"{what}, not {text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}")
