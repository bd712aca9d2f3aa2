"""NAME=VALUE, as options are said on the command line. Knows no option."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from narrows.errors import ConfigError


def parse_pairs(pairs: Iterable[str], what: str, example: str) -> dict[str, str]:
    """NAME=VALUE pairs as a dictionary; `what` takes them, as in `example`.

    Raises:
        ConfigError: a pair without "=", or a name said twice.

    >>> parse_pairs(["density=0.03", "note=a=b"], "--set", "--set density=0.03")
    {'density': '0.03', 'note': 'a=b'}
    """
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"{what} takes NAME=VALUE, as in {example}; got {pair!r}.")
        if name in parsed:
            raise ConfigError(f"{what}: {name} is said twice.")
        parsed[name] = value
    return parsed


def json_value(text: str) -> Any:
    """The JSON value that `text` spells, or the text itself where it spells none.

    Numbers may be written as people do, as .04, 4. or +1, also in lists; True and False are true and false.

    >>> json_value("[1, 8, 8]"), json_value("false"), json_value("gelu")
    ([1, 8, 8], False, 'gelu')
    >>> json_value(".04"), json_value("[-.5, 4.]"), json_value("1_000")
    (0.04, [-0.5, 4.0], '1_000')
    """
    spelled = text.lower() if text in ("True", "False") else _NUMBER.sub(_as_json, text)
    try:
        return json.loads(spelled)
    except (ValueError, RecursionError):
        return text


def _as_json(found: re.Match[str]) -> str:
    """A number with a digit on both sides of its point and no plus; a quoted text as it is."""
    said = found[0]
    return said if said[0] == '"' else re.sub(r"\.(?!\d)", ".0", re.sub(r"(?<!\d)\.", "0.", said.removeprefix("+")))


_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![\w.+-])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.+-])')
