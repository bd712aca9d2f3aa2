"""NAME=VALUE: numbers as people write them, and nothing else read as one."""

from __future__ import annotations

from typing import Any

import pytest

import narrows as nw
from narrows.benchmarks.compare.spec import parse_variants
from narrows.errors import ConfigError
from narrows.pairs import json_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.04", 0.04),
        (".04", 0.04),
        ("-.04", -0.04),
        ("+.04", 0.04),
        ("4.", 4.0),
        ("4.e-2", 4.0e-2),
        (".5E+1", 5.0),
        ("1e-3", 1e-3),
        ("+3", 3),
        ("[.1, +2, 3.]", [0.1, 2, 3.0]),
        ('{"a": .5, "b": ".5"}', {"a": 0.5, "b": ".5"}),
        ('["+1.", .5]', ["+1.", 0.5]),
        ("true", True),
        ("False", False),
        ("null", None),
    ],
)
def test_a_number_may_lack_its_0_and_have_a_plus(text: str, value: Any) -> None:
    found = json_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["1_000", "007", "1,5", ".", "+", "-", "1.2.3", "5.+3", "1 .5", "+-3", "..5", "0x10", "resnet.18", "v.5", "5%"],
)
def test_what_is_no_number_stays_a_text(text: str) -> None:
    assert json_value(text) == text
    with pytest.raises(ConfigError, match="density takes float"):
        nw.make_method("ibm", {"density": text})


def test_every_parser_of_options_reads_the_same_numbers() -> None:
    assert nw.make_method("ibm", {"density": ".04"}) == nw.IBM(density=0.04)
    assert nw.make_method("ibm", {"log_alpha_range": "[-.5, 4.]"}) == nw.IBM(log_alpha_range=(-0.5, 4.0))
    ours, theirs = parse_variants("ibm:density=.04:lr=.01"), parse_variants("ibm:lr=1e-2:density=0.04")
    assert ours == theirs
