"""Values in a JSON file with the keys they stand at; what is damaged is named and left out.

Knows no comparison and no file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


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


class WrongError(Exception):
    """What stands at a key is not what should."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage))
        self.damage = damage


@dataclass(frozen=True)
class Place:
    """A value and its key; `found` collects the damage that was passed over."""

    value: Any
    key: str
    found: list[Damage]

    def wrong(self, why: str) -> WrongError:
        """To be raised: what stands here is not what should."""
        return WrongError(Damage(self.key, why))

    def not_a(self, what: str) -> WrongError:
        """To be raised: something else stands here."""
        text = json.dumps(self.value, ensure_ascii=False)
        return self.wrong(f"{text if len(text) <= 40 else text[:40] + '...'} stands where {what} should")

    def child(self, name: str) -> Place:
        """Below a key. WrongError where it is not there."""
        below = f"{self.key}.{name}" if self.key else name
        if name not in mapping(self):
            raise WrongError(Damage(below, "is missing"))
        return Place(self.value[name], below, self.found)

    def get(self, name: str, read: Callable[[Place], T], otherwise: Any) -> T:
        """What stands below a key; `otherwise` where it is damaged, or not there."""
        try:
            return read(self.child(name))
        except WrongError as error:
            self.found.append(error.damage)
            return otherwise  # type: ignore[no-any-return]

    def each(self, name: str, read: Callable[[Place], T]) -> Iterator[T]:
        """The items of a list below a key that can be read."""
        for item in self.get(name, items, []):
            try:
                yield read(item)
            except WrongError as error:
                self.found.append(error.damage)


def number(place: Place) -> float | None:
    """A finite number or null; NaN and infinity are none, and narrows writes neither."""
    if place.value is None:
        return None
    if type(place.value) not in (int, float):
        raise place.not_a("a number")
    if not abs(place.value) <= sys.float_info.max:  # also of whole numbers, which may be beyond every float
        raise place.wrong(f"{place.value!r:.20} is no number that can be shown")
    return place.value  # type: ignore[no-any-return]


def whole(place: Place) -> int:
    """A whole number."""
    if type(place.value) is not int:
        raise place.not_a("a whole number")
    return place.value


def count(place: Place) -> int:
    """A whole number, 0 or more."""
    if whole(place) < 0:
        raise place.not_a("a count")
    return whole(place)


def text(place: Place) -> str:
    """A text."""
    if not isinstance(place.value, str):
        raise place.not_a("a text")
    return place.value


def mapping(place: Place) -> dict[str, Any]:
    """An object."""
    if not isinstance(place.value, dict):
        raise place.not_a("an object")
    return place.value


def items(place: Place) -> list[Place]:
    """A list, item by item."""
    if not isinstance(place.value, list):
        raise place.not_a("a list")
    return [Place(item, f"{place.key}[{at}]", place.found) for at, item in enumerate(place.value)]


def numbers(place: Place) -> dict[str, float]:
    """An object of numbers; those that are none are left out."""
    read = {name: place.get(name, number, None) for name in mapping(place)}
    return {name: value for name, value in read.items() if value is not None}
