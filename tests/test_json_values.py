"""JSON values to typed ones: what does not fit is named by its key, or left out by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest

from narrows.json_values import EACH, Damage, MisfitError, Most, Rule, from_plain, salvage, to_plain


class Trial(TypedDict):
    lr: float | None
    reason: str


@dataclass(frozen=True)
class Row:
    name: Annotated[str, Rule("be a short name", lambda name: len(name) < 9)]
    seeds: Annotated[tuple[int, ...], Most(3)]
    lr: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    trials: Annotated[tuple[Trial, ...], EACH] = ()
    more: dict[str, Any] | None = None
    secret: int = field(default=7, init=False)


WHOLE = {"name": "a", "seeds": [0, 1], "lr": 1, "values": {"x": 0.5}, "trials": [{"lr": None, "reason": ""}]}


def test_what_was_written_is_read() -> None:
    row = from_plain(Row, WHOLE)
    assert row == Row("a", (0, 1), 1.0, {"x": 0.5}, ({"lr": None, "reason": ""},))
    assert from_plain(Row, {"name": "a", "seeds": []}) == Row("a", ())
    assert to_plain(row)["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "a" * 9}, r"^row\.name should be a short name, not 'aaaaaaaaa'$"),
        ({"seeds": [0, 1, 2, 3]}, r"^row\.seeds has 4 entries, more than 3$"),
        ({"seeds": [0, True]}, r"^row\.seeds\[1\] should be a whole number, zero or more, not True$"),
        ({"seeds": [1 << 63]}, r"^row\.seeds\[0\] should be a whole number"),
        ({"seeds": {"a": [0] * 99}}, r"^row\.seeds should be a list, not an object$"),
        ({"values": {"x": float("nan")}}, r"^row\.values\.x should be a finite number, not nan$"),
        ({"values": []}, r"^row\.values should be an object, not a list$"),
        ({"trials": [{"lr": 1}]}, r"^row\.trials\[0\]\.reason is missing$"),
        ({"more": 1}, r"^row\.more should be an object, not 1$"),
        ({"nmae": "a"}, r"^row has no entry 'nmae'; did you mean 'name'"),
        ({"secret": 1}, r"^row has no entry 'secret'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MisfitError, match=said):
        from_plain(Row, WHOLE | change, "row")


def test_unknown_entries_may_be_passed_over_and_fields_that_are_not_said_stay() -> None:
    assert from_plain(Row, WHOLE | {"secret": 1, "other": 2}, unknown=True).secret == 7


def test_what_is_damaged_is_left_out_and_named() -> None:
    damaged = {
        "name": "a",
        "seeds": [0],
        "lr": "fast",
        "values": {"x": 1, "y": "?"},
        "trials": [3, {"lr": [], "reason": "no"}, {"lr": 1.0}],
    }
    row, damage = salvage(Row, damaged)
    assert row == Row("a", (0,), None, {"x": 1.0}, ({"lr": None, "reason": "no"},))
    assert [part.key for part in damage] == [
        "lr", "values.y", "trials[0]", "trials[1].lr", "trials[2].reason", "more",
    ]  # fmt: skip
    assert damage[-1] == Damage("more", "is missing")


def test_where_nothing_is_left_it_is_an_error() -> None:
    with pytest.raises(MisfitError, match=r"^seeds\[0\] should be a whole number"):
        salvage(Row, WHOLE | {"seeds": [-1]})
