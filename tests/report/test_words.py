"""The words of a page: the same keys and the same values put in, whatever the language."""

from __future__ import annotations

import re
import string
from importlib import resources
from pathlib import Path

import pytest

import narrows.report
from narrows.errors import ConfigError
from narrows.report.texts import LANGUAGES, Texts, _load

WORDS = Path(str(resources.files("narrows.report"))) / "words"
SOURCES = Path(narrows.report.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_language_says_all_of_it_with_the_same_values(language: str):
    english, other = _load("en"), _load(language)
    assert set(other) == set(english)
    for key, text in english.items():
        assert placeholders(other[key]) == placeholders(text), key


def test_the_japanese_words_are_japanese():
    """Terms of the field may stand as they are; sentences may not."""
    for key, text in _load("ja").items():
        if len(_load("en")[key]) > 30 and not key.endswith(".command"):
            assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text), key


def test_no_text_is_left_that_no_code_asks_for():
    code = "\n".join(file.read_text() for file in SOURCES.rglob("*") if file.suffix in (".py", ".jinja", ".js"))
    literal = set(re.findall(r'"([a-z_]+\.[a-z0-9_.]+)"', code))
    # Keys that are put together: up to the first value.
    started = set(re.findall(r'f"([a-z_]+\.[a-z0-9_.]*)\{', code)) | set(re.findall(r'f"\{key\}(\.[a-z_]+)"', code))
    # And those of `say.each("kept", "task", f"units.{part}")`: a beginning and the rest of it.
    words = set(re.findall(r'"([a-z0-9_.]+)"', code))
    for key in _load("en"):
        known = key in literal or any(key.startswith(start) or key.endswith(start) for start in started)
        parts = key.split(".")
        halves = [(".".join(parts[:at]), ".".join(parts[at:])) for at in range(1, len(parts))]
        known = known or any(
            head in words and (rest in words or any(rest.startswith(start) for start in started))
            for head, rest in halves
        )
        assert known, f"{key} is never said"


def test_an_unknown_language_is_refused_by_name():
    with pytest.raises(ConfigError, match="there are: en, ja"):
        Texts("jp")


def test_a_text_that_is_not_there_is_named():
    with pytest.raises(KeyError, match=r"words/en: glance\.nonsense"):
        Texts()("glance.nonsense")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_949, "1,000 kB"),
        (54_300_000, "54.3 MB"),
        (3.2e13, "32.0 TB"),
    ],
)
def test_bytes(count: float, shown: str):
    assert Texts().bytes(count) == shown


def test_what_was_not_measured_is_a_dash():
    say = Texts()
    for show in (say.percent, say.points, say.number, say.bytes, say.seconds):
        assert show(None) == show(float("nan")) == "-"


def test_small_percentages_are_not_nothing():
    assert Texts().percent(0.00012) == "0.012%"
    assert Texts().percent(0.0) == "0.0%"
    assert Texts().points(0.0) == "0"
    assert Texts().points(-0.0123) == "-1.2"
