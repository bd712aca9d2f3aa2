"""compare.json read back: what was written is what is read; what is damaged is named, and the rest is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grids import result
from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.comparison_file import load_comparison, read_comparison
from narrows.benchmarks.compare.summary import Cell, Comparison, Ran, summarise
from narrows.errors import StoreError, StoreVersionError

GRID = {"stream": "split-digits", "tasks": 2, "network": "mlp", "tune": 2, "tune_tasks": 2, "holdout": 0.2}


def comparison() -> Comparison:
    tried = (
        {"values": {"lr": 0.01}, "accuracy": None, "reason": "error: NaN"},
        {"values": {"lr": 0.001}, "accuracy": 0.5, "reason": ""},
    )
    cells = [
        Cell(
            variant, 1, 2, {"lr": 0.001}, tried, tuple(Ran(seed, result(variant.method, seed), "h:1") for seed in seeds)
        )
        for variant, seeds in zip(parse_variants("ibm:density=0.1,wsn,independent"), [(0, 1), (), (0,)], strict=True)
    ]
    failures = [{"job": "runs/wsn-e1-s0", "reason": "error: no"}]
    return summarise(GRID, cells, failures, 3, ["a note"], ["narrows", "compare"])


def written(folder: Path, data: Any) -> Path:
    file = folder / "compare.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def test_what_was_written_is_read(tmp_path):
    read, damage = read_comparison(written(tmp_path, comparison().to_json()))
    assert damage == ()
    assert json.loads(json.dumps(read.to_json())) == json.loads(json.dumps(comparison().to_json()))
    assert read.rows[0].figures == comparison().rows[0].figures
    assert load_comparison(tmp_path / "compare.json") == read


def damaged() -> Any:
    """(key, its value, the damage's key, rows that are left)."""
    yield ("rows", 0, "figures", "ACC", "mean"), float("nan"), "rows[0].figures.ACC.mean", 3
    yield ("rows", 0, "figures", "ACC", "mean"), 10**400, "rows[0].figures.ACC.mean", 3
    yield ("rows", 0, "figures", "ACC", "se"), "small", "rows[0].figures.ACC.se", 3
    yield ("rows", 0, "figures", "ACC", "values"), [0.5], "rows[0].figures.ACC", 3
    yield ("rows", 0, "figures"), None, "rows[0].figures", 3
    yield ("rows", 0, "accuracy"), [], "rows[0].accuracy", 3
    yield ("rows", 0, "used", 1), {}, "rows[0].used[1].mean", 3
    yield ("rows", 0, "lr"), True, "rows[0].lr", 3
    yield ("rows", 0, "values", "lr"), [], "rows[0].values.lr", 3
    yield ("rows", 0, "tried", 0), 7, "rows[0].tried[0]", 3
    yield ("rows", 0, "tried", 1, "accuracy"), float("inf"), "rows[0].tried[1].accuracy", 3
    yield ("rows", 0, "settings"), "none", "rows[0].settings", 3
    yield ("rows", 0, "label"), 3, "rows[0].label", 2
    yield ("rows", 0, "seeds"), [0, "1"], "rows[0].seeds[1]", 2
    yield ("rows", 0, "epochs"), -1, "rows[0].epochs", 2
    yield ("rows", 1), [], "rows[1]", 2
    yield ("rows",), {"a": 1}, "rows", 0
    yield ("runs", 0, "R"), [[0.5], [0.5]], "runs[0].R", 3
    yield ("runs", 0, "R", 0, 0), "x" * 99, "runs[0].R[0][0]", 3
    yield ("runs", 0, "worker"), None, "runs[0].worker", 3
    yield ("failures", 0), {"job": "x"}, "failures[0].reason", 3
    yield ("grid",), [], "grid", 3
    yield ("left",), None, "left", 3
    yield ("notes", 0), 1, "notes[0]", 3
    yield ("command",), "narrows", "command", 3


@pytest.mark.parametrize(("where", "value", "key", "rows"), [pytest.param(*case, id=case[2]) for case in damaged()])
def test_damage_is_named_and_the_rest_is_read(where, value, key, rows, tmp_path):
    data: Any = json.loads(json.dumps(comparison().to_json()))
    place = data
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    file = written(tmp_path, data)
    read, damage = read_comparison(file)
    assert [part.key for part in damage] == [key]
    assert len(read.rows) == rows
    with pytest.raises(StoreError) as raised:
        load_comparison(file)
    for said in (str(file), key, "`narrows compare` writes it anew"):
        assert said in str(raised.value)


def test_what_is_missing_is_named(tmp_path):
    read, damage = read_comparison(written(tmp_path, {"format": "narrows-comparison", "version": 1}))
    assert {part.key for part in damage} == {"grid", "rows", "failures", "left", "runs", "notes", "command"}
    assert (read.rows, read.left) == ((), 0)


@pytest.mark.parametrize("version", [0, 2, "1", None, []])
def test_another_version_is_refused(version, tmp_path):
    with pytest.raises(StoreVersionError, match="knows version 1 only; use the narrows that wrote it"):
        read_comparison(written(tmp_path, {"format": "narrows-comparison", "version": version}))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "narrows-result"}', "\0", "[" * 10_000, '"\ud800"'])
def test_what_is_no_comparison_is_refused_by_name(text, tmp_path):
    (tmp_path / "compare.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(StoreError, match=r"compare\.json"):
        read_comparison(tmp_path / "compare.json")
    with pytest.raises(StoreError, match=r"nowhere\.json cannot be read"):
        read_comparison(tmp_path / "nowhere.json")
