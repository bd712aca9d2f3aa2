"""What a user may say about their data; plain values, no files read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, Literal, get_args

from narrows.data.names import one_form
from narrows.errors import ConfigError

Kind = Literal["classification", "regression", "multilabel"]
KINDS: tuple[str, ...] = get_args(Kind)
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "kind": ("auto", *KINDS),
    "bad": ("refuse", "skip"),
    "decimal": (".", ",", None),
    "dates": ("day-first", "month-first", None),
}


@dataclass(frozen=True)
class DataOptions:
    """How a user's data are to be read. Everything has a default.

    Attributes:
        target: the column of a table, or the key of an NPZ file, that is to be predicted, or several. Default: the one
            named label, target, y or class; a folder of class folders needs none.
        kind: "auto" decides by the values; `Schema.summary` says how and why.
        classes: the classes in the order of the network's outputs, or the labels of "multilabel". Default: those of
            the data, sorted, numbers as numbers.
        image_size: height and width in pixels, one number for both or (height, width); others are resized. Default:
            that of the images, where all are alike.
        channels: 1 (grey) or 3 (RGB). Default: 1 where all images are grey.
        features: the columns to predict from, or the key of the inputs in an NPZ file. Default: all but the target.
        categorical: columns of numbers that are names of categories (postal codes, say), read as text.
        without: columns of a table that are not learned from; later data may lack them.
        id: columns that say which row is which: not learned from, and kept beside the predictions.
        decimal: the decimal mark, "." or ",", of numbers in a CSV file and in text. Default: what all numbers of a
            column fit, and where that is both, ".".
        dates: "day-first" or "month-first", where dates in text may be either.
        parted_by: what stands between the labels of one text, as ";" or ", "; or "[]", where they are written as a
            list. Default: "|", or what the labels show. It makes the target "multilabel".
        bad: what to do with rows that cannot be used (infinite numbers, a missing target, an undecodable image):
            "refuse" them all with a message, or "skip" and count them.
        holdout: fraction of the training data to take out for validation (see `split`), 0 to below 1.
        seed: of that choice.

    A single name may stand where several may.

    Raises:
        ConfigError: a value out of its range.

    >>> DataOptions(target="price", kind="regression").target
    ('price',)
    """

    target: str | tuple[str, ...] | None = None
    kind: Literal["auto", "classification", "regression", "multilabel"] = "auto"
    classes: tuple[str, ...] | None = None
    image_size: int | tuple[int, int] | None = None
    channels: int | None = None
    features: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    decimal: Literal[".", ","] | None = None
    dates: Literal["day-first", "month-first"] | None = None
    parted_by: str | None = None
    bad: Literal["refuse", "skip"] = "refuse"
    holdout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("target", "classes", "features", "categorical", "without", "id"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} is one of {', '.join(filter(None, choices))}, not {getattr(self, name)!r}")
        if self.parted_by is not None and (not self.parted_by.strip() or self.kind not in ("auto", "multilabel")):
            raise ConfigError(
                f"parted_by is what stands between the labels of a text, and such are 'multilabel'; got "
                f"{self.parted_by!r} with kind={self.kind!r}"
            )
        if self.classes is not None and self.kind == "regression":
            raise ConfigError("a regression has no classes: say only one of kind='regression' and classes")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"channels is 1 (grey) or 3 (RGB), not {self.channels!r}")
        if isinstance(self.image_size, list):
            object.__setattr__(self, "image_size", tuple(self.image_size))
        if self.sides is not None and not all(_is_whole(side) and 1 <= side <= 1 << 14 for side in self.sides):
            raise ConfigError(
                f"image_size is a number of pixels from 1 to {1 << 14}, or two of them, (height, width); not "
                f"{self.image_size!r}"
            )
        if not isinstance(self.holdout, int | float) or not 0 <= self.holdout < 1:
            raise ConfigError(f"holdout is a fraction of the training data, from 0 to below 1; got {self.holdout!r}")
        if not _is_whole(self.seed) or self.seed < 0:
            raise ConfigError(f"the seed must be a whole number, zero or more, not {self.seed!r}")

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns named in `target`; () where none is."""
        return tuple(self.target or ())

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width in pixels that images are to have; None where nothing was said.

        >>> DataOptions(image_size=16).sides, DataOptions(image_size=(16, 24)).sides
        ((16, 16), (16, 24))
        """
        size = self.image_size
        if not isinstance(size, tuple):
            return None if size is None else (size, size)
        return size if len(size) == 2 else (0, 0)  # which is refused

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults, as plain JSON values.

        >>> DataOptions(target="price", seed=3).to_json()
        {'target': ['price'], 'seed': 3}
        """
        said = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.default != getattr(self, field.name)
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _names(what: str, value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    given = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(name, str) for name in given):
        raise ConfigError(f"{what} holds names (text), not {given!r}")
    names = tuple(map(one_form, given))
    if len(set(names)) < len(names):
        raise ConfigError(f"{what} names {Counter(names).most_common(1)[0][0]!r} twice")
    if not names and what in ("target", "classes", "features"):
        raise ConfigError(f"{what} names nothing; leave it out for the default")
    return names
