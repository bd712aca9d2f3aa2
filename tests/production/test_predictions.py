"""Predictions on disk: no formula for a spreadsheet, every text for a program, and nobody's file written over."""

from __future__ import annotations

import csv

import pyarrow.parquet
import pytest
import torch

from narrows.data import Target
from narrows.errors import DataError
from narrows.production import Predictions
from narrows.production.spreadsheet import text_of

IDS = ("-1+cmd|'/c calc'!A1", '+1+HYPERLINK("http://x")', "-7")
CLASSES = ("@red", "-2")
FOUND = Predictions(
    "a",
    Target("classification", CLASSES, ("y",), text=True, mean=(), std=(), why=""),
    IDS,
    torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
    kept={"=name": ("=1", "'=1", "plain")},
)


def test_no_text_of_a_csv_file_is_a_formula_and_all_can_be_had_back(tmp_path):
    with FOUND.write(tmp_path / "p.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["id", "'=name", "prediction", "probability", "p_@red", "p_-2"]
    assert [row[0] for row in rows] == [f"'{IDS[0]}", f"'{IDS[1]}", "-7"]
    assert [row[1] for row in rows] == ["'=1", "''=1", "plain"]
    assert [row[2] for row in rows] == ["'@red", "-2", "'@red"]
    assert [[text_of(cell) for cell in row[:3]] for row in rows] == [
        list(row) for row in zip(IDS, FOUND.kept["=name"], FOUND.labels, strict=True)
    ]
    assert [float(row[4]) for row in rows] == FOUND.probabilities[:, 0].tolist()


def test_a_parquet_file_has_every_text_as_it_is(tmp_path):
    columns = pyarrow.parquet.read_table(FOUND.write(tmp_path / "p.parquet")).to_pydict()
    assert columns == FOUND.columns()


def test_a_link_is_not_written_through_and_not_written_over(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "p.csv.tmp").write_text("mine")
    (tmp_path / "p.csv").symlink_to("mine")
    with pytest.raises(DataError, match=r"p\.csv cannot be written: it is a symbolic link; name the file itself"):
        FOUND.write(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").is_symlink()
    (tmp_path / "p.csv").unlink()
    (tmp_path / "p.csv").hardlink_to(tmp_path / "mine")
    with pytest.raises(DataError, match="it has other names"):
        FOUND.write(tmp_path / "p.csv")
    (tmp_path / "p.csv").unlink()
    FOUND.write(tmp_path / "p.csv")
    assert (tmp_path / "mine").read_text() == (tmp_path / "p.csv.tmp").read_text() == "mine"
