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


def read_as(tmp_path: Path, text: str, options: DataOptions | None = None) -> tuple[torch.Tensor, str]:
    _, examples = read_training(csv(tmp_path / "a.csv", text), options or DataOptions())
    return examples.x, "\n".join(examples.notes)


def plain(tmp_path: Path, numbers: list[float]) -> torch.Tensor:
    rows = "".join(f"{number},{'uv'[i % 2]}\n" for i, number in enumerate(numbers))
    return read_training(csv(tmp_path / "plain.csv", "a,y\n" + rows))[1].x


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("texts", [["1.234.500", "2.500.000", "950.000"], ["1.000.000", "2", "3"]])
def test_dots_part_thousands_where_they_can_be_nothing_else(tmp_path: Path, separator: str, texts: list[str]) -> None:
    rows = "".join(f"{text}{separator}{'uv'[i % 2]}\n" for i, text in enumerate(texts))
    x, notes = read_as(tmp_path, f"a{separator}y\n{rows}")
    assert torch.equal(x, plain(tmp_path, [float(text.replace(".", "")) for text in texts]))
    assert f"of the file: its numbers have dots between their thousands, as {texts[0]!r} in the column 'a'" in notes


def test_addresses_stay_text(tmp_path: Path) -> None:
    x, notes = read_as(tmp_path, "a;b;y\n1.123.200.255;1;u\n1.123.200.100;2;v\n1.123.200.255;3;u\n")
    assert x.shape == (3, 3)
    assert "column 'a' ('1.123.200.255', '1.123.200.100') is taken as categories and not as numbers: they have" in notes


def test_dots_before_three_digits_part_thousands_beside_plain_numbers_where_semicolons_part(tmp_path: Path) -> None:
    for unit in ("", " €"):
        text = "".join(f"{n}{unit};{y}\n" for n, y in (("950", "u"), ("1.500", "v"), ("800", "u"), ("2.250", "v")))
        want = plain(tmp_path, [950, 1500, 800, 2250])
        x, notes = read_as(tmp_path, "a;y\n" + text)
        assert torch.equal(x, want)
        assert f"its dots are taken to part thousands, as '1.500{unit}' in the column 'a' beside '800{unit}'" in notes
        assert "say decimal (--decimal .)" in notes
        x, notes = read_as(tmp_path, "a;y\n" + text, DataOptions(decimal="."))
        assert torch.equal(x, plain(tmp_path, [950, 1.5, 800, 2.25]))
        assert "dots" not in notes
    path = csv(tmp_path / "b.csv", "x;a\n1;950\n2;1.500\n3;800\n")
    schema, examples = read_training(path, DataOptions(target="a", kind="regression"))
    assert schema.target.restore(examples.y).flatten().tolist() == pytest.approx([950, 1500, 800])  # type: ignore[arg-type]


def test_dots_that_may_part_thousands_are_doubted_and_another_number_settles_it(tmp_path: Path) -> None:
    for separator in ",;":
        text = "a,y\n1.500,u\n12.250,v\n7.125,u\n".replace(",", separator)
        x, notes = read_as(tmp_path, text)
        assert torch.equal(x, plain(tmp_path, [1.5, 12.25, 7.125]))
        assert "of the file: the dot is taken to be the decimal mark, as '1.500' in the column 'a'; no row" in notes
        assert "(--decimal . or --decimal ,)" in notes
        x, notes = read_as(tmp_path, text, DataOptions(decimal=","))
        assert torch.equal(x, plain(tmp_path, [1500, 12250, 7125]))
        _, notes = read_as(tmp_path, text.replace("7.125", "0.5"))
        assert "decimal" not in notes
    beside = "a;b;y\n950;0.5;u\n1.500;1.5;v\n800;2.5;u\n"
    assert torch.equal(read_as(tmp_path, beside)[0][:, 0], plain(tmp_path, [950, 1.5, 800])[:, 0])
    _, notes = read_as(tmp_path, "a,y\n5.458 €,u\n1.200 €,v\n7.125 €,u\n")
    assert "The dot is taken to be the decimal mark; no row shows whether it is, or parts thousands" in notes
