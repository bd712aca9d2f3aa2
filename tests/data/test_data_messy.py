"""Tables as people keep them are read as the clean table is, to the bit; what was decided is said."""

from __future__ import annotations

import datetime
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from data_samples import csv, parquet

from narrows.data import DataOptions, Examples, Schema, TableInputs, read_training, read_with, split
from narrows.errors import ConfigError, DataError

CLEAN = [1045.5, 999.0, 12.25, -5.0, 1500.0]
LABELS = ["u", "v", "u", "v", "u"]


def same(schema: Schema, examples: Examples, want: tuple[Schema, Examples]) -> None:
    """The features to the bit, and the target."""
    assert torch.equal(examples.x, want[1].x)
    assert examples.y is not None
    assert want[1].y is not None
    assert torch.equal(examples.y, want[1].y)
    assert schema.target.names == want[0].target.names


def clean(tmp_path: Path, values: list[Any] = CLEAN) -> tuple[Schema, Examples]:
    return read_training(parquet(tmp_path / "clean.parquet", {"a": values, "y": LABELS[: len(values)]}))


def text_table(tmp_path: Path, texts: list[str]) -> Path:
    rows = "".join(f'"{text}",{label}\n' for text, label in zip(texts, LABELS, strict=False))
    return csv(tmp_path / "text.csv", "a,y\n" + rows)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["1,045.50", "999", "12.25", "-5", "1.5e3 "], "numbers"),
        (["$1,045.50", "$999", "$12.25", "($5.00)", "$1,500"], "numbers in '$'"),
        (["1045.50 €", "999€", "12.25 €", "-5 €", "1500 €"], "numbers in '€'"),
        (["USD 1045.5", "USD 999", "USD 12.25", "USD -5", "USD 1,500"], "numbers in 'USD'"),
        (["1045,5", "999", "12,25", "-5", "1500"], "numbers with decimal commas"),
        (["1 045,50", "999,0", "12,25", "-5", "1\u00a0500,0"], "numbers with decimal commas"),
        (["1.045,50", "999", "12,25", "(5)", "1.500"], "numbers with decimal commas"),
        (["1'045.50", "999", "12.25", "\u22125", "1\u2019500"], "numbers"),
        (["1045.5%", "999 %", "12.25%", "-5%", "1500%"], "numbers in '%'"),
        (["1045.5 kg", "999kg", "12.25 kg", "-5 kg", "1500 kg"], "numbers in 'kg'"),
    ],
)
def test_numbers_that_are_text_are_the_numbers_to_the_bit(tmp_path: Path, texts: list[str], said: str) -> None:
    want = clean(tmp_path)
    path = text_table(tmp_path, texts)
    schema, examples = read_training(path)
    same(schema, examples, want)
    assert next(note for note in examples.notes if "is read as" in note).endswith(f"and is read as {said}")
    saved = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert saved == schema
    for row, text in enumerate(texts):  # alone, a text may look like another
        new = read_with(saved, csv(tmp_path / "new.csv", f'a\n"{text}"\n'), targets="ignored")
        assert torch.equal(new.x[0], want[1].x[row])


@pytest.mark.parametrize(
    ("form", "offset"),
    [
        ("%Y-%m-%d", 0.0),
        ("%Y/%m/%d", 0.0),
        ("%d.%m.%Y", 0.0),
        ("%d/%m/%Y", 0.0),
        ("%m/%d/%Y", 0.0),
        ("%d.%m.%y", 0.0),
        ("%d-%b-%Y", 0.0),
        ("%b %d, %Y", 0.0),
        ("%Y-%m-%d 18:00:00", 0.75),
        ("%Y-%m-%dT18:00:00Z", 0.75),
        ("%d/%m/%Y 06:00 PM", 0.75),
        ("%Y-%m-%d 18:00:00+06:00", 0.5),
    ],
)
def test_dates_are_days_however_they_are_written(tmp_path: Path, form: str, offset: float) -> None:
    days = [
        datetime.date(2024, 3, 1),
        datetime.date(2024, 2, 29),
        datetime.date(1969, 12, 31),
        datetime.date(2030, 1, 13),
    ]
    numbers = [float((day - datetime.date(1970, 1, 1)).days + offset) for day in days]
    want = clean(tmp_path, numbers)
    schema, examples = read_training(text_table(tmp_path, [day.strftime(form) for day in days]))
    same(schema, examples, want)
    assert "as days since 1970-01-01" in examples.notes[0]
    new = csv(tmp_path / "new.csv", f"a\n{days[0].strftime(form)!r}\n".replace("'", '"'))
    assert torch.equal(read_with(schema, new, targets="ignored").x, want[1].x[:1])


def test_dates_of_a_parquet_file_are_the_same_as_those_of_text(tmp_path: Path) -> None:
    moments = [datetime.datetime(2024, 3, 1, 18, 30, 0, 123456), datetime.datetime(2024, 3, 2, 1, 0), None]
    path = parquet(tmp_path / "a.parquet", {"a": moments, "b": [1.0, 2.0, 4.0], "y": ["u", "v", "u"]})
    schema, examples = read_training(path)
    text = csv(tmp_path / "a.csv", "a,b,y\n2024-03-01 18:30:00.123456,1,u\n2024-03-02 01:00,2,v\n,4,u\n")
    same(*read_training(text), (schema, examples))
    assert torch.equal(read_with(schema, text).x, examples.x)
    with pytest.raises(DataError, match="'a' is of the type double; the task was learned from dates"):
        read_with(schema, parquet(tmp_path / "b.parquet", {"a": [1.5], "b": [1.0]}), targets="ignored")


def test_words_for_what_is_missing_are_counted_and_are_the_median(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a,y\n1,u\n?,v\n3,u\n-,v\nNA,u\n?,v\n8,u\n")
    schema, examples = read_training(path)
    assert examples.notes == (
        "column 'a' is text ('1', '3', '8') and is read as numbers; 4 are missing ('-', '?', 'NA')",
        "column 'a': 4 of 7 numbers were missing and taken to be the median, 3",
    )
    assert torch.equal(examples.x, read_training(csv(tmp_path / "b.csv", "a,y\n1,u\n,v\n3,u\n,v\n,u\n,v\n8,u\n"))[1].x)
    assert isinstance(schema.inputs, TableInputs)


def test_what_may_be_read_in_two_ways_is_said_and_may_be_chosen(tmp_path: Path) -> None:
    path = text_table(tmp_path, ["1,045", "999", "12,250"])
    schema, examples = read_training(path)
    assert "say which with decimal (--decimal . or --decimal ,)" in examples.notes[0]
    same(schema, examples, clean(tmp_path, [1045.0, 999.0, 12250.0]))
    schema, examples = read_training(path, DataOptions(decimal=","))
    assert not any("--decimal" in note for note in examples.notes)
    same(schema, examples, clean(tmp_path, [1.045, 999.0, 12.25]))

    path = text_table(tmp_path, ["01/02/2024", "03/04/2024", "05/05/2024"])
    _, examples = read_training(path)
    assert (
        "no row tells day and month apart. Say which with dates (--dates day-first or month-first)" in examples.notes[0]
    )
    days = {"day-first": [(1, 2), (3, 4), (5, 5)], "month-first": [(2, 1), (4, 3), (5, 5)]}
    for said, pairs in days.items():
        numbers = [float((datetime.date(2024, m, d) - datetime.date(1970, 1, 1)).days) for d, m in pairs]
        schema, examples = read_training(path, DataOptions(dates=said))  # type: ignore[arg-type]
        assert "--dates" not in examples.notes[0]
        same(schema, examples, clean(tmp_path, numbers))


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["$5", "€6", "$7", "€8"], "several units ($, €)"),
        (["5 kg", "600 g", "7 kg", "5 kg"], "several units (g, kg)"),
        (["5%", "0.05", "6%", "5%"], "some of its numbers have % and others have none"),
        (["1,045.50", "20,6", "1,045.50", "20,6"], "do not have one decimal mark"),
    ],
)
def test_numbers_that_cannot_be_read_alike_stay_categories_and_it_is_said(
    tmp_path: Path, texts: list[str], why: str
) -> None:
    schema, examples = read_training(text_table(tmp_path, texts))
    assert isinstance(schema.inputs, TableInputs)
    assert not schema.inputs.numbers
    assert "is taken as categories and not as numbers" in examples.notes[0]
    assert why in examples.notes[0]


def test_names_that_only_look_like_numbers_stay_names(tmp_path: Path) -> None:
    for texts in (
        ["A12", "A13", "B2", "A12"],
        ["1.2.3", "1.2.4", "1.10.2", "1.2.3"],
        ["10:30", "9:15", "10:30", "8:00"],
    ):
        schema, _ = read_training(parquet(tmp_path / "a.parquet", {"a": texts, "y": ["u", "v", "u", "v"]}))
        assert isinstance(schema.inputs, TableInputs)
        assert [column.name for column in schema.inputs.categories] == ["a"]
    codes = parquet(tmp_path / "b.parquet", {"a": ["01234", "12345", "01234", "99"], "y": ["u", "v", "u", "v"]})
    schema, examples = read_training(codes)
    assert isinstance(schema.inputs, TableInputs)
    assert "begin with 0, as names do (postal codes)" in examples.notes[0]
    _, examples = read_training(csv(tmp_path / "a.csv", "zip,y\n01234,u\n12345,v\n"))
    assert "column 'zip' has numbers that begin with 0, as '01234'" in examples.notes[0]


def test_a_number_of_another_spelling_later_is_named_with_its_row(tmp_path: Path) -> None:
    schema, _ = read_training(text_table(tmp_path, ["$1,045.50", "$999", "$12.25"]))
    new = csv(tmp_path / "new.csv", 'a\n$5\n€6\n"20,6"\nn/a\n7\nmany\n')
    with pytest.raises(DataError, match=r"(?s)3 of 6.*1: column 'a' has '€6'.*2: column 'a' has '20,6'.*5: .*'many'"):
        read_with(schema, new, targets="ignored")
    assert read_with(schema, new, DataOptions(bad="skip"), targets="ignored").ids == ("0", "3", "4")
    percent, _ = read_training(text_table(tmp_path, ["5%", "6.5%", "7%"]))
    with pytest.raises(DataError, match="'a' is of the type double; the task was learned from numbers in '%', as text"):
        read_with(percent, parquet(tmp_path / "b.parquet", {"a": [0.05]}), targets="ignored")
    with pytest.raises(DataError, match=r"0: column 'a' has '0\.05', which cannot be read as numbers in '%'"):
        read_with(percent, csv(tmp_path / "c.csv", "a\n0.05\n"), targets="ignored")


def test_a_target_of_numbers_as_text_is_a_regression_in_its_units(tmp_path: Path) -> None:
    prices = [1000.5 + 250 * i for i in range(30)]
    rows = "".join(f'{i % 7},"${price:,.2f}"\n' for i, price in enumerate(prices))
    schema, examples = read_training(csv(tmp_path / "a.csv", "x,price\n" + rows), DataOptions(target="price"))
    plain = parquet(tmp_path / "b.parquet", {"x": [i % 7 for i in range(30)], "price": prices})
    same(schema, examples, read_training(plain, DataOptions(target="price")))
    assert schema.target.kind == "regression"
    assert (
        "column 'price' is text ('$1,000.50', '$1,250.50', '$1,500.50') and is read as numbers in '$'" in examples.notes
    )
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert torch.equal(read_with(again, tmp_path / "a.csv").y, examples.y)  # type: ignore[arg-type]
    assert torch.equal(read_with(again, plain).y, examples.y)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="0: the target 'price' is '€5', which is not a number"):
        read_with(again, csv(tmp_path / "c.csv", 'x,price\n1,€5\n2,"$1,000.00"\n'))
    few = csv(tmp_path / "d.csv", "x,label\n1,5%\n2,10%\n3,5%\n")  # names of classes as they stand
    assert read_training(few)[0].target.names == ("10%", "5%")


def index_table(tmp_path: Path, **columns: list[Any]) -> Path:
    n = len(next(iter(columns.values())))
    return parquet(
        tmp_path / "a.parquet", columns | {"x": [float(i % 7) for i in range(n)], "y": ["u", "v"] * (n // 2)}
    )


@pytest.mark.parametrize(
    "name",
    [
        *("Unnamed: 0", "Unnamed: 0.1", "level_0", "__index_level_0__", "number", "floating", "customer_id", "row_id"),
        *("customerId", "id", "code"),
    ],
)
def test_an_index_is_left_out_and_it_is_said(tmp_path: Path, name: str) -> None:
    values: dict[str, list[Any]] = {
        "Unnamed: 0": [3, 1, 2, 3] * 10,
        "Unnamed: 0.1": [3.0, 1.0, 2.0, 3.0] * 10,
        "level_0": [3, 1, 2, 3] * 10,
        "__index_level_0__": [7 * i % 40 for i in range(40)],
        "number": list(range(5, 45)),
        "customer_id": [7 * i % 41 for i in range(40)],
        "floating": [None if i == 9 else float(i) for i in range(5, 45)],
        "row_id": [None if i == 4 else 7.0 * i % 41 for i in range(40)],
        "customerId": [f"{i % 10}{i:03}" for i in range(40)],
        "id": [f"{i:05x}" for i in range(40)],
        "code": [f"K-{3 * i}" for i in range(40)],
    }
    path = index_table(tmp_path, **{name: values[name]})
    schema, examples = read_training(path)
    assert isinstance(schema.inputs, TableInputs)
    assert schema.inputs.names == ("x",)
    assert schema.inputs.without == (name,)
    assert any(note.startswith(f"column {name!r} was left out: ") for note in examples.notes)
    without = parquet(tmp_path / "b.parquet", {"x": [1.0, 2.0]})
    assert read_with(schema, without, targets="ignored").notes == ()
    assert read_with(schema, path).notes == ()  # known not to be used
    kept, _ = read_training(path, DataOptions(features=(name, "x"), categorical=(name,)))
    assert isinstance(kept.inputs, TableInputs)
    assert kept.inputs.names == ("x", name)


def test_the_index_of_a_csv_file_is_left_out(tmp_path: Path) -> None:
    rows = [f"{x},{y}" for x, y in ((1.5, "u"), (2.5, "v"), (9.5, "u"))]
    want = read_training(csv(tmp_path / "clean.csv", "x,y\n" + "\n".join(rows)))
    for head, first in ((",x,y", True), ("Unnamed: 0,x,y", True), ("x,y", True), ("x,y,", False)):
        body = "\n".join(f"{i},{row}" if first else row + "," for i, row in enumerate(rows))
        schema, examples = read_training(csv(tmp_path / "a.csv", f"{head}\n{body}\n"))
        same(schema, examples, want)
        assert any("was left out" in note for note in examples.notes)


def test_a_column_that_differs_in_every_row_is_noted(tmp_path: Path) -> None:
    path = index_table(tmp_path, income=[(37 * i * i) % 10007 for i in range(40)])
    schema, examples = read_training(path)
    assert isinstance(schema.inputs, TableInputs)
    assert schema.inputs.names == ("income", "x")
    assert examples.notes[0].startswith(
        "column 'income' holds another whole number in every one of 40 rows; if it is an id"
    )
    path = index_table(tmp_path, name=[f"n{i % 38}" for i in range(40)])
    _, examples = read_training(path)
    assert examples.notes[0].startswith("column 'name' is text with 38 different values in 40 rows")


def test_columns_are_left_out_or_kept_beside_the_predictions(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "no,shop,x,y\n007,s,1.5,u\n008,t,2.5,v\n009,s,inf,u\n")
    options = DataOptions(without="shop", id="no", bad="skip")  # type: ignore[arg-type]
    schema, examples = read_training(path, options)
    assert isinstance(schema.inputs, TableInputs)
    assert (schema.inputs.names, schema.inputs.without, schema.inputs.ids) == (("x",), ("shop",), ("no",))
    assert examples.kept == {"no": ("007", "008")}
    later = read_with(schema, path, DataOptions(bad="skip"), targets="ignored")
    assert later.kept == {"no": ("007", "008")}
    assert not any("does not use" in note for note in later.notes)
    bare = read_with(schema, csv(tmp_path / "b.csv", "x\n3\n"), targets="ignored")
    assert bare.kept == {}
    assert bare.notes == ("there is no column 'no' to keep beside the predictions",)
    train, held = split(Examples(torch.zeros(4, 1), None, tuple("0123"), kept={"no": tuple("abcd")}), 0.25, 0)
    assert sorted((*train.kept["no"], *held.kept["no"])) == list("abcd")
    with pytest.raises(
        DataError, match=r"(?s)2 faults.*without names 'shp'.* did you mean 'shop'.*id names the target 'y'"
    ):
        read_training(path, DataOptions(without="shp", id="y", bad="skip"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the column of without or id 'no' is among the features"):
        read_training(path, DataOptions(features=("x", "no"), id="no", bad="skip"))  # type: ignore[arg-type]


def test_texts_are_refused_before_anything_is_learned(tmp_path: Path) -> None:
    said = ["where is my parcel", "the colour is not what I ordered", "please send me a new one", "it broke on day two"]
    rows = "".join(f"{text} {i},{i % 5},{'uv'[i % 2]}\n" for i, text in enumerate(said * 6))
    path = csv(tmp_path / "a.csv", "message,x,y\n" + rows)
    with pytest.raises(
        DataError, match=r"'message' holds texts \(24 different ones in 24 rows.*no reader of texts yet"
    ):
        read_training(path)
    assert read_training(path, DataOptions(without="message"))[1].shape == (1,)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no reader of texts yet"):
        read_training(
            csv(
                tmp_path / "b.csv",
                "message,y\n"
                + rows.replace(",0,", ",")
                .replace(",1,", ",")
                .replace(",2,", ",")
                .replace(",3,", ",")
                .replace(",4,", ","),
            )
        )


TAGS = [["red", "big"], ["red"], [], ["big", "odd"], ["odd", "red", "big"], ["odd"]]


@pytest.mark.parametrize(
    ("spell", "mark"),
    [
        ("|".join, "|"),
        (", ".join, ","),
        ("; ".join, ";"),
        (str, "[]"),
        (json.dumps, "[]"),
    ],
)
def test_tags_are_labels_however_they_are_parted(tmp_path: Path, spell: Any, mark: str) -> None:
    want = read_training(parquet(tmp_path / "a.parquet", {"x": [float(i) for i in range(6)], "y": TAGS}))
    path = parquet(tmp_path / "b.parquet", {"x": [float(i) for i in range(6)], "y": [spell(tags) for tags in TAGS]})
    for options in (DataOptions(kind="multilabel"), DataOptions(parted_by=mark)):
        schema, examples = read_training(path, options)
        same(schema, examples, want)
        assert (schema.target.kind, schema.target.parted_by) == ("multilabel", mark)
        again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
        assert torch.equal(read_with(again, path).y, examples.y)  # type: ignore[arg-type]


def test_lists_that_are_text_are_labels_unasked_and_it_is_said(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"x": [float(i) for i in range(6)], "y": [str(tags) for tags in TAGS]})
    schema, examples = read_training(path)
    assert (schema.target.kind, schema.target.names) == ("multilabel", ("big", "odd", "red"))
    assert "the labels of 'y' are written as lists, and were read so" in examples.notes
    with pytest.raises(DataError, match="no list of labels"):
        read_with(schema, parquet(tmp_path / "b.parquet", {"x": [1.0], "y": ["red, big"]}))


def test_what_may_be_tags_and_was_not_read_so_is_doubted(tmp_path: Path) -> None:
    texts = ["red, big", "red", "big", "big, odd", "odd, red, big", "odd, red"]
    path = parquet(tmp_path / "a.parquet", {"x": [float(i) for i in range(6)], "y": texts})
    schema, examples = read_training(path)
    assert schema.target.kind == "classification"
    assert examples.notes == (
        "4 of the 6 classes of 'y' have ',' in them, as 'big, odd'; parted by it they are 3 labels. If a row may have "
        "several, say parted_by=',' (--parted-by ',')",
    )
    _, examples = read_training(path, DataOptions(kind="multilabel", parted_by="|"))
    assert [note.split(":")[0] for note in examples.notes] == [
        "no row has two labels, parted by '|'",
        "4 of 6 labels (4 rows) have ',' in them, as 'big, odd'",
    ]
    both = parquet(tmp_path / "b.parquet", {"x": [1.0, 2.0], "y": ["red, dark; big", "big"]})
    with pytest.raises(DataError, match="has both ; and , in its labels: say with parted_by"):
        read_training(both, DataOptions(kind="multilabel"))
    with pytest.raises(ConfigError, match="such are 'multilabel'"):
        DataOptions(parted_by=";", kind="regression")


def test_composed_and_decomposed_names_are_one(tmp_path: Path) -> None:
    text = "größe,ort,label\n1.5,Zürich,é\n2.5,Genève,e\n4.5,Zürich,é\n"
    want = read_training(csv(tmp_path / "a.csv", text))
    half = text.replace("Zürich,é\n2", unicodedata.normalize("NFD", "Zürich,é") + "\n2")
    for other in (unicodedata.normalize("NFD", text), half):
        path = csv(tmp_path / "b.csv", other)
        schema, examples = read_training(path)
        same(schema, examples, want)
        assert torch.equal(read_with(want[0], path).x, want[1].x)
    options = DataOptions(target=unicodedata.normalize("NFD", "größe"), kind="regression")
    assert read_training(tmp_path / "a.csv", options)[0].target.names == ("größe",)


def test_a_task_learned_before_names_had_one_form_reads_as_it_did(tmp_path: Path) -> None:
    plain = read_training(csv(tmp_path / "a.csv", "größe,ort,label\n1.5,Zürich,é\n2.5,Genève,e\n"))
    saved = json.loads(json.dumps(plain[0].to_json()))
    for name in ("ids", "without"):
        del saved["inputs"][name]
    for column in saved["inputs"]["numbers"]:
        del column["spelling"]
    for name in ("spellings", "parted_by"):
        del saved["target"][name]
    old = Schema.from_json(json.loads(unicodedata.normalize("NFD", json.dumps(saved, ensure_ascii=False))))
    read = read_with(old, tmp_path / "a.csv")
    same(plain[0], read, plain)


def test_spaces_and_capitals_in_names_are_counted(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a, c ,y\n1,red,Yes\n2, Red,yes\n3,red ,no\n4,green,yes \n")
    schema, examples = read_training(path)
    assert isinstance(schema.inputs, TableInputs)
    assert schema.inputs.categories[0].name == "c"
    assert schema.inputs.categories[0].values == ("Red", "green", "red")
    assert schema.target.names == ("Yes", "no", "yes")
    assert examples.notes == (
        "column 'y': white space was taken off 1 of 4 texts",
        "column 'c': white space was taken off 2 of 4 texts",
        "column 'c': 'Red' (1 rows), 'red' (2 rows) are 2 categories; if they are one, spell them alike",
        "target 'y': 'Yes' (1 rows), 'yes' (2 rows) are 2 classes; if they are one, spell them alike",
    )


def test_a_class_that_may_mean_missing_is_doubted(tmp_path: Path) -> None:
    _, examples = read_training(csv(tmp_path / "a.csv", "a,y\n1,u\n2,NA\n3,v\n"))
    assert examples.notes == (
        "target 'y': 'NA' (1 rows) is a class; if it stands for a missing target, leave it empty",
    )


def test_all_faults_of_a_file_are_told_in_one_run(tmp_path: Path) -> None:
    rows = "".join(
        f"{i},{'inf' if i == 3 else i % 5},{'' if i == 4 else 'v'},,10:{i:02},the parcel has come late by {i} days,u\n"
        for i in range(30)
    )
    path = csv(tmp_path / "a.csv", "n,x,y,empty,time,message,z\n" + rows + "1,2\n")
    with pytest.raises(DataError) as caught:
        read_training(path, DataOptions(categorical="zz", without="yy"))  # type: ignore[arg-type]
    text = str(caught.value)
    assert f"{path} has 7 faults:" in text
    for said in (
        "all examples are of one class, 'v'",
        "without names 'yy', which is no column; did you mean 'y'?",
        "categorical names 'zz', which is no feature; did you mean 'z'?",
        "'time' is of the type time32[s]",
        "'message' holds texts (30 different ones",
        "'empty' has no values",
        "3 of 31 examples cannot be used",
        "3: column 'x' is infinite",
        "4: the target 'y' is missing",
        "30: it has 2 cells and the header has 7 names: '1,2'",
    ):
        assert said in text, said
    schema, _ = read_training(csv(tmp_path / "b.csv", "a,b,c,y\n1,2,3,u\n2,3,5,v\n"))
    with pytest.raises(DataError, match=r"(?s)2 faults.*no column 'y'.*2 columns .* missing: 'a', 'b'"):
        read_with(schema, csv(tmp_path / "c.csv", "c\n5\n"))


def test_rows_of_another_length_can_be_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a,y\n1,u\n2\n3,v\n\n4,u,v\n5,v\n")
    with pytest.raises(DataError, match=r"(?s)2 of 5 examples.*1: it has 1 cells.*3: it has 3 cells"):
        read_training(path)
    _, examples = read_training(path, DataOptions(bad="skip"))
    assert examples.ids == ("0", "2", "4")
    assert [row.id for row in examples.skipped] == ["1", "3"]


def test_the_header_once_more_among_the_rows_is_named_and_left_out(tmp_path: Path) -> None:
    rows = "1.5,4,u\n2.5,5,v\n"
    path = csv(tmp_path / "a.csv", f"a,2020,y\n{rows}a,2020,y\n9\n{rows} a ,2020, y\n{rows}a,2020,u\n")
    with pytest.raises(DataError, match="2, 6: it is the header once more"):
        read_training(path)
    path.write_text(path.read_text().removesuffix("a,2020,u\n"))
    _, examples = read_training(path, DataOptions(bad="skip"))
    assert examples.x.shape == (6, 2)
    assert examples.ids == ("0", "1", "4", "5", "7", "8")
    assert [row.id for row in examples.skipped] == ["2", "3", "6"]
