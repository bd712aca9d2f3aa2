"""CSV files as programs write them: what is certain is read as the plain file is, and said; the rest has a hint."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from data_samples import csv

from narrows.data import DataOptions, read_training, read_with
from narrows.errors import DataError

PLAIN = "width,height,label\n1.5,20.6,u\n2.25,1045.5,v\n3,999,u\n"
COMMAS = PLAIN.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace(",", ";"), "its columns are separated by semicolons"),
        (PLAIN.replace(",", "\t"), "its columns are separated by tabs"),
        (PLAIN.replace(",", "|"), "its columns are separated by bars"),
        (PLAIN.replace(",", ", "), "white space was taken off 3 of 3 texts"),
        (COMMAS, "its numbers have decimal commas, as '1,5' in the column 'width'"),
        (COMMAS.replace("1045,5", "1.045,5"), "its numbers have decimal commas"),
        ("sep=;\n" + COMMAS, "1 line over the header, as 'sep=;', did not count"),
        ("sep=,\r\n" + PLAIN.replace("\n", "\r\n"), "1 line over the header"),
        ("# " + PLAIN, None),
        ("#" + PLAIN, None),
        ("# made by a program, on Monday\n#\n" + PLAIN, "2 lines over the header, as '# made by a program, on Monday'"),
        ("Sizes of 2024\n\n" + PLAIN, "1 line over the header, as 'Sizes of 2024', did not count"),
        ("Sizes of 2024,,\n,,\n" + PLAIN, "2 lines over the header, as 'Sizes of 2024,,', did not count"),
        ("size,,kind\n" + PLAIN, "1 line over the header, as 'size,,kind', did not count"),
        (PLAIN.replace("label\n", "label,\n"), None),
        (PLAIN.replace("label\n", "label,\n").replace("u\n", "u,\n").replace("v\n", "v,\n"), "has no name of its own"),
        (PLAIN.replace("u\n", "u,\n").replace("v\n", "v,\n"), "has no name of its own"),
        (
            '"width","height","label"\n"1",1.5,20.6,"u"\n"2",2.25,1045.5,"v"\n"3",3,999,"u"\n',
            "its header has 3 names and its rows have 4 cells, the first of them different in every row",
        ),
        ("\n\n" + PLAIN, None),
        ("\ufeff" + PLAIN, None),
    ],
)
def test_what_is_certain_is_read_as_the_plain_file_is(tmp_path: Path, text: str, said: str | None) -> None:
    schema, want = read_training(csv(tmp_path / "plain.csv", PLAIN))
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    found, examples = read_training(path)
    assert torch.equal(examples.x, want.x)
    assert torch.equal(examples.y, want.y)  # type: ignore[arg-type]
    assert found.target.names == schema.target.names
    assert examples.ids == want.ids
    if said is None:
        assert examples.notes == ()
    else:
        assert any(said in note for note in examples.notes), examples.notes
    assert torch.equal(read_with(found, path).x, want.x)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    _, want = read_training(csv(tmp_path / "plain.csv", PLAIN))
    path = tmp_path / "a.csv"
    path.write_bytes((("\ufeff" if encoding[-2:] in ("le", "be") else "") + PLAIN).encode(encoding))
    _, examples = read_training(path)
    assert torch.equal(examples.x, want.x)
    assert examples.notes == (("of the file: it is in UTF-16, and was read so",) if "16" in encoding else ())
    zipped = tmp_path / "a.csv.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert torch.equal(read_training(zipped)[1].x, want.x)
    zipped.write_bytes(zipped.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a\.csv\.gz cannot be read as CSV"):
        read_training(zipped)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c,y\n1,2,u\n2,3,v\n", r"its header has 4 names \(a, b, c, y\) and its rows have 3 cells, as 1, 2, u"),
        ("a,y\n1,2,3,u\n2,3,4,v\n", r"its header has 2 names \(a, y\) and its rows have 4 cells"),
        ("a,b,y\n1,5,2,5,u\n2,5,3,5,v\n", "its header has 3 names .* and its rows have 5 cells"),
        (
            "a,b,y\nkg,cm,x\n1,2,u\n2,3,v\n3,1,u\n",
            r"its first row \(kg, cm, x\) holds words in columns that hold numbers",
        ),
    ],
)
def test_a_header_that_does_not_fit_its_rows_has_a_hint(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_training(csv(tmp_path / "a.csv", text))


def test_whole_numbers_of_a_file_with_decimal_commas_are_read_so_later(tmp_path: Path) -> None:
    schema, _ = read_training(csv(tmp_path / "a.csv", "a;b;y\n1,5;10;u\n2,25;20;v\n"))
    later = read_with(schema, csv(tmp_path / "b.csv", "a;b\n1,5;1.045\n"), targets="ignored")
    want = read_with(schema, csv(tmp_path / "c.csv", "a;b\n1,5;1045\n"), targets="ignored")
    assert torch.equal(later.x, want.x)


def test_the_decimal_mark_of_the_file_decides_where_a_column_does_not(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a;b;y\n1,5;1.045;u\n2,25;2.500;v\n3;999;u\n")
    _, want = read_training(csv(tmp_path / "b.csv", "a,b,y\n1.5,1045,u\n2.25,2500,v\n3,999,u\n"))
    _, examples = read_training(path)
    assert torch.equal(examples.x, want.x)
    assert not any("--decimal ." in note for note in examples.notes)
    _, points = read_training(csv(tmp_path / "c.csv", "b;y\n1.045;u\n2.500;v\n9;u\n"), DataOptions(decimal=","))
    assert torch.equal(points.x, read_training(csv(tmp_path / "d.csv", "b,y\n1045,u\n2500,v\n9,u\n"))[1].x)


def test_a_text_with_line_breaks_in_the_header_is_one_name(tmp_path: Path) -> None:
    schema, examples = read_training(csv(tmp_path / "a.csv", '"size\n(cm)",y\n1.5,u\n2.5,v\n'))
    assert len(examples) == 2
    assert schema.inputs.names == ("size\n(cm)",)  # type: ignore[union-attr]
