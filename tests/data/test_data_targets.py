"""What is predicted: the kind is decided by the values, or asked for; labels of any type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from data_samples import csv, parquet

from narrows.data import DataOptions, make_batches, read_training, read_with
from narrows.errors import DataError


def table(tmp_path: Path, **targets: Any) -> Path:
    n = len(next(iter(targets.values())))
    return parquet(tmp_path / "a.parquet", {"x": [i + 0.5 for i in range(n)], **targets})


def read(tmp_path: Path, options: DataOptions | None = None, **targets: Any) -> tuple[Any, list[Any]]:
    schema, examples = read_training(table(tmp_path, **targets), options or DataOptions())
    assert examples.y is not None
    return schema.target, examples.y.tolist()


@pytest.mark.parametrize(
    ("values", "names", "y"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        (["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        ([True, False, True], ("false", "true"), [1, 0, 1]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
    ],
)
def test_labels_of_any_type(tmp_path: Path, values: list[Any], names: tuple[str, ...], y: list[int]) -> None:
    target, got = read(tmp_path, label=values)
    assert (target.kind, target.names, got) == ("classification", names, y)
    assert target.outputs == 2


def test_labels_match_whatever_their_type_is_later(tmp_path: Path) -> None:
    schema, examples = read_training(table(tmp_path, y=[1, 0, 1, 2]))
    for values in ([1.0, 0.0, 1.0, 2.0], ["1", "0", "1", "2"]):
        again = read_with(schema, table(tmp_path, y=values))
        assert again.y is not None
        assert examples.y is not None
        assert torch.equal(again.y, examples.y)


def test_numbers_that_are_not_whole_are_a_regression_in_the_users_units(tmp_path: Path) -> None:
    prices = [1000.5, 2000.25, 3000.0, 1e6]
    schema, examples = read_training(table(tmp_path, y=prices))
    target, y = schema.target, examples.y
    assert target.kind == "regression"
    assert "different numbers, not all of them whole" in target.summary()
    assert y is not None
    assert y.shape == (4, 1)
    assert y.mean().item() == pytest.approx(0, abs=1e-6)
    assert y.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert target.restore(y)[:, 0].tolist() == pytest.approx(prices, abs=0.1)  # of a spread of 4e5
    _, batch = next(iter(make_batches(schema, examples, 4, shuffle=False)))
    assert torch.equal(batch, y)


def test_whole_numbers_are_classes_only_where_that_is_certain(tmp_path: Path) -> None:
    target, _ = read(tmp_path, y=[i % 50 for i in range(100)])
    assert (target.kind, target.outputs, target.names[-1]) == ("classification", 50, "49")
    with pytest.raises(DataError, match="30 different whole numbers: classes or amounts"):
        read(tmp_path, y=[7 * i for i in range(30)])
    assert read(tmp_path, DataOptions(kind="regression"), y=[7 * i for i in range(30)])[0].kind == "regression"
    assert read(tmp_path, DataOptions(kind="classification"), y=[7 * i for i in range(30)])[0].outputs == 30


def test_several_columns(tmp_path: Path) -> None:
    target, y = read(tmp_path, DataOptions(target=("u", "v")), u=[1.5, 2.0, 3.0], v=[0, 1, 1])
    assert (target.kind, target.names, len(y[0])) == ("regression", ("u", "v"), 2)
    target, y = read(tmp_path, DataOptions(target=("u", "v")), u=[1, 0, 1], v=[True, True, False])
    assert (target.kind, target.names) == ("multilabel", ("u", "v"))
    assert y == [[1, 1], [0, 1], [1, 0]]
    with pytest.raises(DataError, match="exactly one of the 2 target columns is 1"):
        read(tmp_path, DataOptions(target=("u", "v")), u=[1, 0, 1], v=[0, 1, 0])
    assert read(tmp_path, DataOptions(target=("u", "v"), kind="multilabel"), u=[1, 0], v=[0, 1])[1] == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="multilabel targets in columns must be 0 or 1"):
        read(tmp_path, DataOptions(target=("u", "v"), kind="multilabel"), u=[1, 0], v=[0, 2])
    with pytest.raises(DataError, match="'u' has 'p', which is not a number"):
        read(tmp_path, DataOptions(target=("u", "v")), u=["p", "q"], v=[0, 1])
    with pytest.raises(DataError, match="a classification has one target column"):
        read(tmp_path, DataOptions(target=("u", "v"), kind="classification"), u=[1, 0], v=[0, 1])


def test_lists_of_labels(tmp_path: Path) -> None:
    target, y = read(tmp_path, label=[["b", "a"], [], ["b"]])
    assert (target.kind, target.names, y) == ("multilabel", ("a", "b"), [[1, 1], [0, 0], [0, 1]])
    target, y = read(tmp_path, label=[[10, 9], [9, 10]])
    assert (target.names, y) == (("9", "10"), [[1, 1], [1, 1]])
    with pytest.raises(DataError, match="1: the target 'label' is missing"):
        read(tmp_path, label=[["b", "a"], None])
    with pytest.raises(DataError, match="holds no label in any row"):
        read(tmp_path, DataOptions(kind="multilabel"), label=["", ""])


def test_labels_in_one_text_only_where_asked_for(tmp_path: Path) -> None:
    texts = "x,y\n1,red|round\n2,\n3,round\n4, red \n"
    options = DataOptions(kind="multilabel")
    schema, examples = read_training(csv(tmp_path / "a.csv", texts), options)
    assert schema.target.names == ("red", "round")
    assert examples.y is not None
    assert examples.y.tolist() == [[1, 1], [0, 0], [0, 1], [1, 0]]
    new = csv(tmp_path / "b.csv", "x,y\n1,red|blue\n2,red\n")
    with pytest.raises(DataError, match="0: the label 'blue' is none of the labels"):
        read_with(schema, new)
    ordered, _ = read_training(tmp_path / "a.csv", DataOptions(kind="multilabel", classes=("round", "red")))
    assert ordered.target.names == ("round", "red")
    with pytest.raises(DataError, match="the label 'flat' has no example"):
        read_training(tmp_path / "a.csv", DataOptions(kind="multilabel", classes=("round", "red", "flat")))


def test_the_target_is_found_by_its_name_or_asked_for(tmp_path: Path) -> None:
    assert read(tmp_path, Class=["a", "b"])[0].columns == ("Class",)
    with pytest.raises(DataError, match="several columns may be the target: label, y"):
        read(tmp_path, label=["a", "b"], y=[1, 2])
    with pytest.raises(DataError, match=r"no column is the target for certain.*columns are x, animal"):
        read(tmp_path, animal=["a", "b"])
    assert read(tmp_path, DataOptions(target="animal"), animal=["a", "b"])[0].names == ("a", "b")
    with pytest.raises(DataError, match="no column 'animla'; did you mean 'animal'"):
        read(tmp_path, DataOptions(target="animla"), animal=["a", "b"])
    with pytest.raises(DataError, match="the target 'animal' is among the features"):
        read(tmp_path, DataOptions(target="animal", features=("x", "animal")), animal=["a", "b"])


def test_targets_without_anything_to_learn_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all examples are of one class, 'a'"):
        read(tmp_path, y=["a", "a"])
    with pytest.raises(DataError, match=r"'y' is 0\.5 in every row"):
        read(tmp_path, y=[0.5, 0.5])
    with pytest.raises(DataError, match="'y' are too large"):
        read(tmp_path, y=[1e308, -1e308, 0.5])
    with pytest.raises(DataError, match=r"cannot be a class"):
        read(tmp_path, DataOptions(kind="classification"), y=[["a"], ["b"]])
    with pytest.raises(DataError, match=r"is not a number"):
        read(tmp_path, DataOptions(kind="regression"), y=[["a"], ["b"]])
    skip = DataOptions(bad="skip", classes=("a", "b"))
    _, y = read(tmp_path, skip, y=["a", "b", "c"])
    assert y == [0, 1]


def test_a_class_that_is_skipped_as_a_whole_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "x,y\n1,a\n2,b\ninf,c\n-inf,c\n")
    with pytest.raises(DataError, match="all examples of the class 'c' had to be left out"):
        read_training(path, DataOptions(bad="skip"))
    _, examples = read_training(path, DataOptions(bad="skip", classes=("a", "b")))
    assert len(examples.skipped) == 2


def test_classes_of_a_regression_are_refused(tmp_path: Path) -> None:
    options = DataOptions(target=("u", "v"), classes=("a", "b"))
    with pytest.raises(DataError, match=r"classes were named, but the target is a regression \(2 target columns"):
        read(tmp_path, options, u=[1.5, 2.0, 3.0], v=[0, 1, 1])
