"""NAME=VALUE, as options are said on the command line. Knows no option."""

from __future__ import annotations

import json
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

    >>> json_value("[1, 8, 8]"), json_value("false"), json_value("gelu")
    ([1, 8, 8], False, 'gelu')
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
