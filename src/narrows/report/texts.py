"""The words of a page in the reader's language, and numbers as people read them.

Words are in `words/LANGUAGE/*.toml`, one file per section; a test holds the languages to the same keys.
"""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib import resources
from typing import Any

from narrows.errors import ConfigError, nearest

LANGUAGES = ("en", "ja")
NOTHING = "-"
"""Stands for a number that was not measured."""


class Texts:
    """The words of one language. `say("glance.acc.title", tasks=3)` is the text with its values put in.

    Raises:
        ConfigError: a language that is not there.

    >>> say = Texts("en")
    >>> say.percent(0.9934), say.bytes(54_300), say.seconds(0.079), say.number(1234567)
    ('99.3%', '54.3 kB', '0.079 s', '1,234,567')
    """

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            raise ConfigError(f"There is no page in {language!r}; {nearest(language, LANGUAGES)}.")
        self.language = language
        self._words = _load(language)

    def __call__(self, key: str, **values: Any) -> str:
        try:
            return self._words[key].format(**values)
        except KeyError as error:
            raise KeyError(f"words/{self.language}: {key} ({error})") from None

    def each(self, before: str, *keys: str) -> tuple[str, ...]:
        """The texts of keys that begin alike.

        >>> Texts("en").each("kept", "task", "layer")
        ('Task', 'Layer')
        """
        return tuple(self(f"{before}.{key}") for key in keys)

    def told(self, key: str, explain: str | None = None, **values: Any) -> tuple[str, str, str]:
        """Title, sentence (`explain` in its place) and term, which is "" where there is none, of what has that key."""
        title = self(f"{key}.title", **values)
        explain = self(f"{key}.explain", **values) if explain is None else explain
        return title, explain, self(f"{key}.term") if f"{key}.term" in self._words else ""

    def sentences(self, *sentences: str) -> str:
        """One after another, as the language puts them.

        >>> Texts("en").sentences("One.", "Two.")
        'One. Two.'
        """
        return ("" if self.language == "ja" else " ").join(sentences)

    def percent(self, fraction: float | None, digits: int = 1) -> str:
        """A fraction as a percentage; small ones keep two significant digits."""
        if fraction is None or not math.isfinite(fraction):
            return NOTHING
        value = 100 * fraction
        if value and abs(value) < 10**-digits:
            return f"{value:.2g}%"
        return f"{value:.{digits}f}%"

    def points(self, difference: float | None, digits: int = 1) -> str:
        """A difference of two fractions, signed, in percentage points; exactly 0 is "0"."""
        if difference is None or not math.isfinite(difference):
            return NOTHING
        return "0" if difference == 0 else f"{100 * difference:+.{digits}f}"

    def number(self, value: float | None, digits: int = 4) -> str:
        """A count, or any number in `digits` significant ones."""
        if value is None or not math.isfinite(value):
            return NOTHING
        if isinstance(value, int) or value == int(value):
            return f"{int(value):,}"
        return f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"

    def bytes(self, count: float | None) -> str:
        """Bytes, in powers of 1000."""
        if count is None or not math.isfinite(count):
            return NOTHING
        size = float(count)
        for unit in ("B", "kB", "MB", "GB"):
            if abs(size) < 1000:
                return f"{size:.0f} B" if unit == "B" else f"{_three_digits(size)} {unit}"
            size /= 1000
        return f"{_three_digits(size)} TB"

    def seconds(self, seconds: float | None) -> str:
        """A time, in the unit that fits."""
        if seconds is None or not math.isfinite(seconds):
            return NOTHING
        if seconds < 120:
            return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
        if seconds < 7200:
            return f"{seconds / 60:.0f} min"
        return f"{seconds / 3600:.1f} h"


def _three_digits(value: float) -> str:
    """Without an exponent."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


@cache
def _load(language: str) -> dict[str, str]:
    words: dict[str, str] = {}
    for file in sorted((resources.files("narrows.report") / "words" / language).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            _flatten(tomllib.loads(file.read_text(encoding="utf-8")), file.name.removesuffix(".toml"), words)
    return words


def _flatten(table: dict[str, Any], prefix: str, words: dict[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}.{key}", words)
        else:
            words[f"{prefix}.{key}"] = str(value)
