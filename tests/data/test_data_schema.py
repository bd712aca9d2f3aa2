"""A schema as JSON and back, options, splits and what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from narrows.data import (
    ArrayInputs,
    CategoryColumn,
    DataOptions,
    Examples,
    HookInputs,
    ImageInputs,
    NumberColumn,
    Schema,
    TableInputs,
    Target,
    make_batches,
    split,
)
from narrows.errors import ConfigError, DataError

numbers = st.floats(allow_nan=False, allow_infinity=False)
spreads = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
sizes = st.integers(1, 64)


def scales(n: int) -> dict[str, Any]:
    return {
        "mean": st.tuples(*[numbers] * n),
        "std": st.tuples(*[spreads] * n),
    }


images = st.sampled_from([1, 3]).flatmap(
    lambda c: st.builds(ImageInputs, channels=st.just(c), height=sizes, width=sizes, **scales(c))
)
arrays = st.lists(st.integers(1, 5), min_size=1, max_size=3).flatmap(
    lambda size: st.builds(ArrayInputs, size=st.just(tuple(size)), **scales(size[0]))
)
hooks = st.builds(HookInputs, size=st.tuples(sizes, sizes), dtype=st.sampled_from(["float32", "uint8"]))
tables = st.lists(text, min_size=1, max_size=5, unique=True).flatmap(
    lambda names: st.builds(
        TableInputs,
        numbers=st.tuples(*[st.builds(NumberColumn, st.just(n), numbers, numbers, spreads) for n in names]),
        categories=st.lists(text, min_size=1, max_size=4, unique=True).map(
            lambda values: (CategoryColumn("\u0000" + "".join(names), tuple(values)),)
        ),
        padded_to=st.sampled_from([0, 100]),
    )
)
targets = st.tuples(
    st.sampled_from(["classification", "regression", "multilabel"]), st.lists(text, min_size=1, max_size=4, unique=True)
).flatmap(
    lambda pair: st.builds(
        Target,
        kind=st.just(pair[0]),
        names=st.just(tuple(pair[1])),
        columns=st.lists(text, min_size=1, max_size=2).map(tuple),
        text=st.booleans(),
        why=text,
        **scales(len(pair[1]) if pair[0] == "regression" else 0),
    )
)
schemas = st.builds(Schema, st.one_of(images, arrays, hooks, tables), targets)


@given(schemas)
def test_a_schema_comes_back_from_json_as_it_was(schema: Schema) -> None:
    saved = json.dumps(schema.to_json(), allow_nan=False)
    again = Schema.from_json(json.loads(saved))
    assert again == schema
    assert json.dumps(again.to_json()) == saved
    assert "\n" not in schema.inputs.summary()


SCHEMA = Schema(
    TableInputs((NumberColumn("a", 1.0, 2.0, 3.0),), (CategoryColumn("c", ("x", "y")),)),
    Target("regression", ("price",), ("price",), False, (1.0,), (2.0,), "as asked for"),
)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("version",), 2, "schema.version should be 1, not 2"),
        (("inputs",), None, "schema.inputs should be an object"),
        (("inputs", "type"), "video", "schema.inputs.type should be one of images, table, array, hook, not 'video'"),
        (("inputs", "type"), ["table"], "schema.inputs.type should be one of"),
        (("inputs", "numbers", 0, "mean"), "2", r"schema.inputs.numbers\[0\].mean should be a finite number, not '2'"),
        (("inputs", "numbers", 0, "mean"), float("nan"), "should be a finite number"),
        (("inputs", "numbers", 0, "mean"), 10**400, "should be a finite number"),
        (("inputs", "numbers", 0, "std"), 0, "standard deviation is not above zero"),
        (("inputs", "numbers", 0, "std"), True, "should be a finite number, not True"),
        (("inputs", "numbers"), {}, "schema.inputs.numbers should be a list"),
        (("inputs", "categories", 0, "values"), ["x", "x"], "a category stands twice"),
        (("inputs", "categories", 0, "values"), [1], r"values\[0\] should be text"),
        (("inputs", "categories", 0, "values"), [], "no categories"),
        (("inputs", "categories", 0, "name"), "a", "the column 'a' stands twice"),
        (("inputs", "padded_to"), 2, "cannot be padded to 2"),
        (("inputs", "padded_to"), 1 << 40, "cannot be padded to"),
        (("inputs", "padded_to"), -1, "schema.inputs.padded_to should be a whole number, zero or more, not -1"),
        (("target", "kind"), "ranking", "schema.target.kind should be one of"),
        (("target", "text"), 1, "schema.target.text should be true or false, not 1"),
        (("target", "names"), [], "names must be there"),
        (("target", "mean"), [], "needs 1 means"),
        (("target", "wyh"), "x", "schema.target has no entry 'wyh'; did you mean 'why'"),
    ],
)
def test_an_entry_that_is_not_valid_is_named(path: tuple[Any, ...], value: Any, said: str) -> None:
    saved = SCHEMA.to_json()
    place = saved
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=said):
        Schema.from_json(saved)


def test_an_entry_that_is_missing_is_named() -> None:
    saved = SCHEMA.to_json()
    del saved["target"]["why"]
    with pytest.raises(DataError, match=r"schema\.target\.why is missing"):
        Schema.from_json(saved)
    with pytest.raises(DataError, match=r"schema\.version"):
        Schema.from_json([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "ranking"}, "kind is one of auto, classification"),
        ({"bad": "ignore"}, "bad is one of refuse, skip"),
        ({"channels": 4}, "channels is 1"),
        ({"image_size": 0}, "image_size"),
        ({"holdout": 1.0}, "holdout"),
        ({"seed": -1}, "seed"),
        ({"features": ()}, "features names nothing"),
        ({"target": ("a", "a")}, "target names 'a' twice"),
        ({"classes": (1, 2)}, "classes holds names"),
        ({"classes": ("a", "b"), "kind": "regression"}, "a regression has no classes"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DataOptions(**options)


def test_options_come_back_from_what_they_say_of_themselves() -> None:
    options = DataOptions(target="a", classes=("u", "v"), holdout=0.2)
    assert DataOptions(**json.loads(json.dumps(options.to_json()))) == options


def test_a_split_keeps_every_class_and_every_example() -> None:
    y = torch.tensor([0] * 50 + [1] * 10 + [2])
    examples = Examples(torch.arange(61.0)[:, None], y, tuple(map(str, range(61))), notes=("a note",))
    train, valid = split(examples, 0.2, 3)
    assert torch.bincount(valid.y).tolist() == [10, 2]  # type: ignore[arg-type]
    assert torch.bincount(train.y).tolist() == [40, 8, 1]  # type: ignore[arg-type]
    assert sorted([*train.ids, *valid.ids], key=int) == list(examples.ids)
    assert train.x[:, 0].tolist() == [float(i) for i in train.ids]
    assert train.notes == valid.notes == ("a note",)
    again = split(examples, 0.2, 3)
    assert again[1].fingerprint == valid.fingerprint
    assert split(examples, 0.2, 4)[1].fingerprint != valid.fingerprint
    numbers_too = replace(examples, y=y[:, None].float())
    assert [len(part) for part in split(numbers_too, 0.2, 0)] == [49, 12]
    with pytest.raises(DataError, match="too few"):
        split(examples.take(torch.tensor([0, 50, 60])), 0.3, 0)
    with pytest.raises(ConfigError, match="fraction"):
        split(examples, 1.0, 0)


def test_examples_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="2 inputs, 3 targets and 2 ids"):
        Examples(torch.zeros(2, 1), torch.zeros(3), ("0", "1"))
    with pytest.raises(DataError, match=r"examples have the shape \(1,\), the schema says \(3,\)"):
        make_batches(SCHEMA, Examples(torch.zeros(2, 1), None, ("0", "1")), 2, shuffle=False)
    with pytest.raises(DataError, match="augmented"):
        make_batches(SCHEMA, Examples(torch.zeros(2, 3), None, ("0", "1")), 2, shuffle=True, augment=True)
