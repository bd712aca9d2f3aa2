"""Tables: columns through scikit-learn's transformers, saved as plain values; faults named by row and column."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_samples import class_folders, csv, image_column, parquet, png
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from narrows.data import DataOptions, Schema, TableInputs, in_both, read_training, read_with, split
from narrows.errors import DataError
from narrows.production.learning_data import read_material
from narrows.training import Training

FRUIT = "weight,colour,ripe,label\n150,red,true,apple\n120,yellow,false,banana\n,green,true,apple\n170,,false,apple\n"
SKIP = DataOptions(bad="skip")


def test_numbers_and_categories(tmp_path: Path) -> None:
    schema, examples = read_training(csv(tmp_path / "a.csv", FRUIT))
    inputs = schema.inputs
    assert isinstance(inputs, TableInputs)
    assert [column.name for column in inputs.numbers] == ["weight", "ripe"]
    assert [column.values for column in inputs.categories] == [("", "green", "red", "yellow")]
    assert inputs.width == 6
    assert inputs.numbers[0].median == 150
    assert examples.x.dtype == torch.float32
    assert examples.x[:, 2:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert examples.ids == ("0", "1", "2", "3")
    assert examples.notes == ("column 'weight': 1 of 4 numbers were missing and taken to be the median, 150",)
    assert schema.summary() == (
        "a table with columns: 2 of numbers and 1 of categories (6 inputs); classification, 2 classes "
        "(apple, banana): the target 'label' is text"
    )


def test_it_is_what_scikit_learn_gives_to_the_last_bit_also_from_json(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    numbers = draw.normal(3, 100, (200, 3))
    numbers[draw.random((200, 3)) < 0.1] = np.nan
    words = draw.choice(["a", "b", "ü"], (200, 2)).astype(object)
    named = {f"n{i}": numbers[:, i] for i in range(3)} | {f"w{i}": list(words[:, i]) for i in range(2)}
    path = parquet(tmp_path / "a.parquet", named | {"y": draw.normal(size=200)})
    schema, examples = read_training(path)
    both = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [0, 1, 2]),
            ("w", OneHotEncoder(sparse_output=False), [3, 4]),
        ]
    )
    want = both.fit_transform(np.concatenate([numbers.astype(object), words], axis=1)).astype(np.float32)
    assert np.array_equal(examples.x.numpy(), want)
    saved = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert saved == schema
    assert torch.equal(read_with(saved, path).x, examples.x)
    assert read_with(saved, path).fingerprint == examples.fingerprint


def test_a_table_can_be_padded_for_a_network_of_given_width(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", FRUIT)
    schema, examples = read_training(path)
    wide = schema.padded(10)
    assert wide.shape == (10,)
    padded = read_with(Schema.from_json(wide.to_json()), path)
    assert torch.equal(padded.x[:, :6], examples.x)
    assert not padded.x[:, 6:].any()
    assert torch.equal(examples.padded(10).x, padded.x)
    assert examples.padded(10).fingerprint == padded.fingerprint
    with pytest.raises(DataError, match="give 6 inputs, which cannot be padded to 5"):
        schema.padded(5)
    with pytest.raises(DataError, match="6 inputs, which cannot be padded to 5"):
        examples.padded(5)
    images, read = read_training(class_folders(tmp_path / "d"))
    for refused in (images.padded, read.padded):
        with pytest.raises(DataError, match="only tables"):
            refused(10)


def test_infinite_features_and_missing_targets_are_bad_rows(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a,b,y\n1,5,u\ninf,6,v\n3,7,\n4,-inf,u\n5,9,v\n")
    with pytest.raises(DataError, match="3 of 5 examples") as caught:
        read_training(path)
    assert "\n  1: column 'a' is infinite\n  2: the target 'y' is missing\n  3: column 'b' is infinite" in str(
        caught.value
    )
    schema, examples = read_training(path, SKIP)
    assert examples.ids == ("0", "4")
    assert [row.id for row in examples.skipped] == ["1", "2", "3"]
    assert schema == read_training(csv(tmp_path / "b.csv", "a,b,y\n1,5,u\n5,9,v\n"))[0]
    assert torch.equal(read_with(schema, path, SKIP).x, examples.x)
    assert read_with(schema, csv(tmp_path / "c.csv", "a,b\n1,5\n2,inf\n"), SKIP, targets="ignored").ids == ("0",)


def test_nan_in_a_regression_target_is_a_bad_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"a": [1, 2, 3, 4], "y": [0.5, float("nan"), None, float("inf")]})
    with pytest.raises(DataError, match=r"(?s)3 of 4.*1, 2: the target 'y' is missing.*3: the target 'y' is infinite"):
        read_training(path)


def test_a_number_that_cannot_be_read_later_is_a_bad_row(tmp_path: Path) -> None:
    schema, _ = read_training(csv(tmp_path / "a.csv", "a,y\n1,u\n2,v\n"))
    new = csv(tmp_path / "b.csv", "a,y\n1,u\nfour,v\nNA,v\n1e300,u\n")
    with pytest.raises(DataError, match=r"(?s)2 of 4.*1: column 'a' has 'four', which is not a number"):
        read_with(schema, new)
    examples = read_with(schema, new, SKIP)
    assert examples.ids == ("0", "2")
    assert examples.skipped[1].reason == "a number is too large beside those of the training data"


def test_true_and_false_are_numbers_however_they_are_spelled(tmp_path: Path) -> None:
    schema, examples = read_training(csv(tmp_path / "a.csv", "a,y\ntrue,u\nfalse,v\n"))
    for text in ("True,u\nFALSE,v\n", "1,u\n0,v\n", "1.0,u\n0.0,v\n", "True,u\nfalse,v\nmaybe,u\n"):
        again = read_with(schema, csv(tmp_path / "b.csv", f"a,y\n{text}"), SKIP)
        assert torch.equal(again.x, examples.x)


def test_a_missing_column_is_named_and_an_extra_one_noted(tmp_path: Path) -> None:
    schema, examples = read_training(csv(tmp_path / "a.csv", FRUIT))
    with pytest.raises(DataError, match=r"1 columns .* missing: 'weight'\. For 'weight': did you mean 'Weight'"):
        read_with(schema, csv(tmp_path / "b.csv", FRUIT.replace("weight", "Weight")))
    more = "".join(f"{i},{line}\n" for i, line in enumerate(FRUIT.splitlines()))
    read = read_with(schema, csv(tmp_path / "c.csv", more))
    assert torch.equal(read.x, examples.x)
    assert "columns that the task does not use: 0" in read.notes
    with pytest.raises(DataError, match=r"no column 'label'"):
        read_with(schema, csv(tmp_path / "d.csv", "weight,colour,ripe\n1,red,true\n"))
    assert read_with(schema, tmp_path / "d.csv", targets="optional").y is None


def test_unseen_categories_count_as_none(tmp_path: Path) -> None:
    schema, _ = read_training(csv(tmp_path / "a.csv", "c,y\nred,u\ngreen,v\n"))
    examples = read_with(schema, csv(tmp_path / "b.csv", "c,y\nblue,u\nred,v\n,v\n"))
    assert examples.x.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert examples.notes == (
        "column 'c': 2 of 3 values are in no category of the training data ('blue', '') and count as none",
    )


def test_categories_spelled_as_numbers_stay_what_they_are(tmp_path: Path) -> None:
    options = DataOptions(categorical=("code",))
    schema, examples = read_training(csv(tmp_path / "a.csv", "code,y\n007,u\n7,v\n"), options)
    assert isinstance(schema.inputs, TableInputs)
    assert schema.inputs.categories[0].values == ("007", "7")
    assert torch.equal(read_with(schema, tmp_path / "a.csv").x, examples.x)
    mixed, _ = read_training(csv(tmp_path / "b.csv", "c,y\n1,01\nx,02\n"), DataOptions(kind="classification"))
    new = read_with(mixed, csv(tmp_path / "c.csv", "c,y\n1,01\n1,02\n"))  # in this file all is spelled as numbers
    assert new.x.tolist() == [[1, 0], [1, 0]]
    with pytest.raises(DataError, match="'cod', which is no feature; did you mean 'code'"):
        read_training(tmp_path / "a.csv", DataOptions(categorical=("cod",)))


def test_text_among_numbers_is_noted(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'uv'[i % 2]}\n" for i in range(30))
    _, examples = read_training(csv(tmp_path / "a.csv", f"a,y\n{rows}many,u\n"))
    assert examples.notes == (
        "column 'a' is taken as categories: 30 of 31 rows are numbers, and 'many' is the first that cannot be read as "
        "such. Bring them to one form that can be read, or leave such cells empty",
        "column 'a' is text with 31 different values in 31 rows, each of which becomes an input: what is learned of "
        "them holds for no other. Leave it out with without (--without 'a')",
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["13/02/2024", "02/13/2024", "14/02/2024"], "2 of 3 rows are dates (DD/MM/YYYY), and '02/13/2024'"),
        (["13.02.2024", "02.13.2024", "14.02.2024"], "2 of 3 rows are dates (DD.MM.YYYY), and '02.13.2024'"),
        (["2024-03-01", "01.03.2024", "2024-03-05"], "2 of 3 rows are dates (YYYY-MM-DD), and '01.03.2024'"),
        (["2024-03-01", "2024-03-02", "0000-00-00"], "2 of 3 rows are dates (YYYY-MM-DD), and '0000-00-00'"),
        (["2024-03", "2024-04", "2024-05"], "3 of 3 rows are like dates, and '2024-03'"),
        (["1 März 2024", "2 März 2024", "3 März 2024"], "3 of 3 rows are like dates, and '1 März 2024'"),
        (["1.5", "#DIV/0!", "2.5"], "2 of 3 rows are numbers, and '#DIV/0!'"),
        (["<1", "5", "17"], "2 of 3 rows are numbers, and '<1'"),
        (["5 kg", "6 kg", "unknown"], "2 of 3 rows are numbers, and 'unknown'"),
        (["S", "M", "38"], ""),
        (["1.2.3", "1.2.4", "1.10.2"], "not as numbers: its numbers do not have one decimal mark"),
    ],
)
def test_a_column_that_is_nearly_numbers_or_dates_says_what_is_not(tmp_path: Path, texts: list[str], said: str) -> None:
    rows = "".join(f"{text},{'uv'[i % 2]}\n" for i, text in enumerate(texts))
    schema, examples = read_training(csv(tmp_path / "a.csv", f"a,y\n{rows}"))
    assert isinstance(schema.inputs, TableInputs)
    assert len(schema.inputs.categories[0].values) == 3
    assert ("taken as categories" in " ".join(examples.notes)) == bool(said)
    assert said in " ".join(examples.notes)


def test_a_target_that_is_nearly_numbers_says_what_is_not(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i + 0.5}\n" for i in range(30))
    _, examples = read_training(csv(tmp_path / "a.csv", f"a,y\n{rows}3,<1\n"))
    assert "target 'y' is taken as classes: 30 of 31 rows are numbers, and '<1' is the first" in examples.notes[0]


def test_whole_numbers_with_a_point_are_the_same_categories(tmp_path: Path) -> None:
    options = DataOptions(categorical=("store",))
    rows = "".join(f"{text},{y}\n" for text, y in (("3", "u"), ("5", "v"), ("", "u")))
    schema, want = read_training(csv(tmp_path / "a.csv", "store,y\n" + rows), options)
    pointed = csv(tmp_path / "b.csv", "store,y\n" + rows.replace("3,", "3.0,").replace("5,", "5.0,"))
    later = read_with(schema, pointed)
    assert torch.equal(later.x, want.x)
    assert later.notes == ()
    other, _ = read_training(pointed, options)
    assert torch.equal(read_with(other, tmp_path / "a.csv").x, want.x)
    assert (
        "in no category" in read_with(schema, csv(tmp_path / "c.csv", "store\n03\n3.5\n"), targets="ignored").notes[0]
    )


def test_columns_of_no_use_are_refused_with_a_way_out(tmp_path: Path) -> None:
    times = [datetime.time(10, i) for i in range(3)]
    for values, said in (
        (times, r"'a' is of the type time64\[us\].* derive numbers from it"),
        ([[1.0], [2.0], [3.0]], "type list<"),
        ([None, None, None], "'a' has no values"),
        ([b"x", b"y", b"z"], "type binary"),
        ([1e308, -1e308, 1e308], "'a' are too large"),
    ):
        path = parquet(tmp_path / "a.parquet", {"a": values, "b": [1, 2, 3], "y": ["u", "v", "u"]})
        with pytest.raises(DataError, match=said):
            read_training(path)
        assert read_training(path, DataOptions(features="b"))[1].shape == (1,)  # type: ignore[arg-type]
    texts = csv(tmp_path / "b.csv", "a,y\n" + "".join(f"t{i % 1001},{'uv'[i % 2]}\n" for i in range(1002)))
    with pytest.raises(DataError, match="'a' has 1001 different texts"):
        read_training(texts)


def test_csv_files_that_are_broken_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for data, said in (
        (b"", "is empty"),
        (b"\n", "cannot be read as CSV"),
        (b"a,y\n", "there are no rows"),
        (b"a,y\n1,u\n2\n", r"1: it has 1 cells and the header has 2 names: '2'"),
        (b"a,y\n\xe9t\xe9,u\nb,v\n", "the column 'a' is not in UTF-8"),
        (b"\xe9,y\n1,u\n2,v\n", "UTF-8"),
        ("a,y\n1,\xe9\n2,v\n3\n".encode("latin-1"), "line 2 is not in UTF-8; save the file as UTF-8"),
        (b"a,a,y\n1,2,u\n", "the column 'a' stands 2 times"),
        (b"y\nu\nv\n", "there is no column to predict y from"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=said):
            read_training(path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv is a pipe or a device"):
        read_training(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"by their ending"):
        read_training(csv(tmp_path / "a.txt", FRUIT))


def test_a_csv_file_may_have_a_byte_order_mark_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffc,y\n"two\nlines",u\n"a,b",v\n'.encode())
    schema, _ = read_training(path)
    assert isinstance(schema.inputs, TableInputs)
    assert schema.inputs.categories[0].values == ("a,b", "two\nlines")


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for i in range(2):
        parquet(tmp_path / f"part-{i}.parquet", {"a": [1.0 + i, 2.0], "y": ["u", "v"]})
    _, examples = read_training(tmp_path)
    assert examples.ids == ("0", "1", "2", "3")
    parquet(tmp_path / "part-2.parquet", {"b": [1.0], "y": ["u"]})
    with pytest.raises(DataError, match=r"part-2\.parquet: its columns are not those of part-0"):
        read_training(tmp_path)
    (tmp_path / "part-2.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"part-2\.parquet is not a whole parquet file"):
        read_training(tmp_path)
    for part in ("train", "test"):
        parquet(tmp_path / f"{part}-00.parquet", {"a": [1.0], "y": ["u"]})
    with pytest.raises(DataError, match="has files of the parts test, train"):
        read_training(tmp_path)


def test_parquet_may_hold_images_as_hugging_face_stores_them(tmp_path: Path) -> None:
    names = {"info": {"features": {"label": {"names": ["dog", "cat", "fox"], "_type": "ClassLabel"}}}}
    columns = {"image": image_column([png((i, 0, 0)) for i in range(4)]), "label": [1, 0, 1, 0], "size": [1, 1, 1, 1]}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(names)})
    pq.write_table(table, tmp_path / "a.parquet")
    schema, examples = read_training(tmp_path / "a.parquet")
    assert schema.target.names == ("dog", "cat")  # in the order of the numbers, those with examples
    assert examples.y is not None
    assert examples.y.tolist() == [1, 0, 1, 0]
    assert examples.x[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert examples.notes == ("not used: size",)
    columns["image"] = image_column([png(), None, b"x", png()])
    with pytest.raises(DataError, match=r"(?s)2 of 4.*1: .*bytes are missing.*2: the image cannot be decoded"):
        read_with(schema, parquet(tmp_path / "b.parquet", columns), targets="ignored")
    path = tmp_path / "secret.png"
    path.write_bytes(png())
    kind = columns["image"].type
    columns["image"] = pa.array([{"bytes": None, "path": str(path)}] * 4, kind)
    with pytest.raises(DataError, match="bytes are missing"):  # a file from strangers does not choose what is read
        read_training(parquet(tmp_path / "c.parquet", columns))


def test_the_code_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "data.md"
    code = page.read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    csv(tmp_path / "fruit.csv", "weight,colour,label\n" + "150,red,apple\n120,yellow,banana\n" * 10)
    csv(tmp_path / "new.csv", "weight,colour\n130,red\n")
    names: dict[str, Any] = {}
    exec(code, names)
    assert (len(names["train"]), len(names["valid"]), len(names["later"])) == (16, 4, 1)


def test_data_of_another_kind_than_learned_are_refused(tmp_path: Path) -> None:
    table, _ = read_training(csv(tmp_path / "a.csv", FRUIT))
    images, _ = read_training(class_folders(tmp_path / "d"))
    with pytest.raises(DataError, match="holds columns; the task was learned from RGB images"):
        read_with(images, tmp_path / "a.csv", targets="ignored")
    with pytest.raises(DataError, match="holds images; the task was learned from a table"):
        read_with(table, tmp_path / "d", targets="ignored")


def test_data_of_another_kind_are_named_before_their_columns(tmp_path):
    (tmp_path / "fruit.csv").write_text("a,colour,label\n1,red,x\n2,blue,y\n")
    np.savez(tmp_path / "a.npz", x=np.ones((4, 2)), y=np.arange(4) % 2)
    schema, _ = read_training(tmp_path / "fruit.csv")
    with pytest.raises(DataError, match="holds arrays; the task was learned from a table"):
        read_with(schema, tmp_path / "a.npz")


def test_one_word_among_numbers_is_named_where_the_table_gets_too_wide(tmp_path):
    rows = "".join(f"{i},{i % 2}\n" for i in range(40))
    (tmp_path / "t.csv").write_text(f"weight,label\n{rows}heavy!,1\n")
    schema, _ = read_training(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"the column 'weight' is text and gives 41 of them, one for 'heavy!'"):
        schema.padded(20)


def test_rows_that_are_learned_from_and_measured_on_are_noted(tmp_path: Path) -> None:
    rows = [f"{i * i},{'uv'[i % 2]}\n" for i in range(30)]
    path = csv(tmp_path / "a.csv", "a,y\n" + "".join(rows * 4))
    train, held = split(read_training(path)[1], 0.25, 0)
    known = {(x.item(), y.item()) for x, y in zip(train.x, train.y, strict=True)}  # type: ignore[arg-type]
    twice = sum((x.item(), y.item()) in known for x, y in zip(held.x, held.y, strict=True))  # type: ignore[arg-type]
    read = read_material(
        torch.nn.Linear(1, 1), path, None, DataOptions(holdout=0.25), Training(1, batch_size=2), epochs=1, seed=0
    )
    said = f"validation: {twice} of 30 rows are also among those to learn from, number for number, target and all, and"
    assert twice > 25
    assert [note[: len(said)] for note in read.notes if "also among" in note] == [said]
    assert in_both(train, replace(held, y=1 - held.y)) == ""  # type: ignore[operator]  # the same numbers of another class
    assert in_both(*split(read_training(csv(path, "a,y\n" + "".join(rows)))[1], 0.25, 0)) == ""
