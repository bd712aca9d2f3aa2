"""What a path holds is recognised, and what it does not hold is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import grids
from analysis_samples import empty_store, random_store, result
from narrows.analysis.subject import open_subject
from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.summary import Cell, Ran, summarise
from narrows.errors import DamagedStoreError, StoreError, StoreMissingError, StoreVersionError


def gaps(subject) -> list[str]:
    return [missing.what for missing in subject.missing]


def run_folder(path: Path, tasks: int = 2, **changes) -> Path:
    random_store(path / "store", tasks)
    result(tasks, **changes).save(path / "result.json")
    return path


def test_a_store_is_known_by_its_folder_and_by_its_file(tmp_path):
    random_store(tmp_path / "store", 2)
    for path in (tmp_path / "store", tmp_path / "store/store.json", str(tmp_path / "store")):
        subject = open_subject(path)
        assert (subject.kind, subject.path, subject.result) == ("store", tmp_path / "store", None)
        assert subject.reader.task_names() == ("task 0", "task 1")
        assert gaps(subject) == ["result"]


def test_a_store_without_tasks_says_so(tmp_path):
    empty_store(tmp_path / "store")
    assert gaps(open_subject(tmp_path / "store")) == ["result", "tasks"]


def test_a_run_has_its_result_and_its_store(tmp_path):
    run_folder(tmp_path)
    for path in (tmp_path, tmp_path / "result.json"):
        subject = open_subject(path)
        assert (subject.kind, subject.path) == ("run", tmp_path)
        assert subject.reader.task_names() == tuple(task.name for task in subject.result.tasks)
        assert gaps(subject) == ["reference"]


def test_a_result_by_itself_lacks_the_store(tmp_path):
    result(complete=False).save(tmp_path / "other.json")
    subject = open_subject(tmp_path / "other.json")
    assert (subject.kind, subject.reader) == ("result", None)
    assert gaps(subject) == ["store", "complete", "reference"]


def test_a_run_without_its_store_or_its_result_is_shown_by_the_other(tmp_path):
    result().save(tmp_path / "result.json")
    assert gaps(open_subject(tmp_path)) == ["store", "reference"]
    (tmp_path / "result.json").unlink()
    random_store(tmp_path / "store", 1)
    subject = open_subject(tmp_path)
    assert (subject.kind, subject.result, gaps(subject)) == ("run", None, ["result"])


def test_a_result_of_other_tasks_than_the_store_s_is_said(tmp_path):
    run_folder(tmp_path)
    result(1).save(tmp_path / "result.json")
    assert "same tasks" in gaps(open_subject(tmp_path))


def test_a_run_without_tasks_has_a_result_without_figures(tmp_path):
    result(0, complete=False).save(tmp_path / "result.json")
    assert gaps(open_subject(tmp_path)) == ["store", "tasks", "complete", "reference"]


def compared(**changes) -> dict:
    """The contents of a compare.json of one run."""
    (variant,) = parse_variants("ibm")
    cell = Cell(variant, 1, 1, runs=(Ran(0, grids.result("ibm"), "host:1"),))
    return summarise({"stream": "split-digits"}, [cell], [], 0).to_json() | changes


def test_a_comparison_is_known_by_its_folder_and_by_its_file(tmp_path):
    (tmp_path / "grid.json").write_text("{}")
    assert (open_subject(tmp_path).kind, gaps(open_subject(tmp_path))) == ("comparison", ["comparison"])
    (tmp_path / "compare.json").write_text(json.dumps(compared()))
    for path in (tmp_path, tmp_path / "compare.json"):
        subject = open_subject(path)
        assert (subject.kind, subject.path, gaps(subject), subject.damage) == ("comparison", tmp_path, [], ())
        assert [row.label for row in subject.comparison.rows] == ["ibm"]
    (tmp_path / "copied.json").write_text(json.dumps(compared()))
    assert open_subject(tmp_path / "copied.json").path == tmp_path / "copied.json"


def test_a_comparison_says_what_it_lacks_and_what_is_damaged(tmp_path):
    file = tmp_path / "compare.json"
    file.write_text(json.dumps(compared(left=2)))
    assert gaps(open_subject(tmp_path)) == ["complete"]
    file.write_text(json.dumps(compared(rows=[])))
    assert gaps(open_subject(tmp_path)) == ["comparison"]
    file.write_text(json.dumps(compared(left="two")))
    (damage,) = open_subject(tmp_path).damage
    assert damage.key == "left"


def test_what_is_nothing_of_narrows_is_refused_with_what_lies_near(tmp_path):
    with pytest.raises(StoreMissingError, match="There is nothing at"):
        open_subject(tmp_path / "nowhere")
    (tmp_path / "text.json").write_text('{"a": 1}')
    with pytest.raises(StoreMissingError, match="no file that narrows can show"):
        open_subject(tmp_path / "text.json")
    (tmp_path / "text.json").write_text('{"format": []}')
    with pytest.raises(StoreMissingError, match="no file that narrows can show"):
        open_subject(tmp_path / "text.json")
    run_folder(tmp_path / "runs/demo")
    with pytest.raises(StoreMissingError, match=r"Did you mean .*runs/demo"):
        open_subject(tmp_path / "runs")


@pytest.mark.parametrize("file", ["result.json", "compare.json"])
def test_another_version_is_refused_with_what_to_do(tmp_path, file):
    name = file.removesuffix(".json").replace("compare", "comparison")
    (tmp_path / file).write_text(json.dumps({"format": f"narrows-{name}", "version": 2}))
    for path in (tmp_path, tmp_path / file):
        with pytest.raises(StoreVersionError, match=r"version 2.* knows version 1 only; use the narrows that wrote it"):
            open_subject(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "narrows-result"', "\0", "[" * 10_000])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    for path in (tmp_path, tmp_path / "result.json"):
        with pytest.raises(StoreError, match=r"result\.json"):
            open_subject(path)


def damaged_results():
    sound = result()
    yield "R", replace(sound, rows=sound.rows[:1])
    yield "R short", replace(sound, rows=[[0.5], [0.5]])
    yield "R text", replace(sound, rows=[["0.5", None], [0.5, 0.5]])
    yield "last row", replace(sound, rows=[[0.5, 0.1], [None, 0.5]])
    yield "start", replace(sound, rows=[[0.5, None], [0.5, 0.5]])
    yield "seconds", replace(sound, tasks=[replace(sound.tasks[0], seconds="long"), sound.tasks[1]])
    yield "layers", replace(sound, tasks=[replace(sound.tasks[0], layers={"a": None}), sound.tasks[1]])
    yield "name", replace(sound, tasks=[replace(sound.tasks[0], name=3), sound.tasks[1]])
    short = {"accuracy": [0.5], "ACC": 0, "lr": 0, "seconds": 0, "step_seconds": 0}
    yield "reference short", replace(sound, reference=short)
    yield "reference", replace(sound, reference={"accuracy": [0.5, None], "ACC": 0, "lr": 0, "seconds": 0})


@pytest.mark.parametrize("damaged", [pytest.param(case, id=what) for what, case in damaged_results()])
def test_a_result_of_another_shape_is_damaged(tmp_path, damaged):
    data = result().to_json() | {"R": damaged.rows, "reference": damaged.reference}
    data["tasks"] = [vars(task) for task in damaged.tasks]
    (tmp_path / "result.json").write_text(json.dumps(data))
    with pytest.raises(StoreError, match=r"result\.json cannot be read as a result"):
        open_subject(tmp_path)


def test_a_damaged_store_is_named(tmp_path):
    run_folder(tmp_path)
    (tmp_path / "store/store.json").write_text("{")
    with pytest.raises(DamagedStoreError, match=r"store\.json"):
        open_subject(tmp_path)
