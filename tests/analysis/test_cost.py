"""Figures of a plan come with their source, and what is not measured is said to be assumed."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from analysis_samples import add, empty_store, random_store, result
from narrows.analysis.capacity import capacity
from narrows.analysis.cost import cost_figures
from narrows.analysis.forecast import forecast
from narrows.analysis.subject import open_subject

REFERENCE = {"accuracy": [0.9] * 8, "ACC": 0.9, "lr": 0.001, "seconds": 4.0, "step_seconds": 0.008}


def measured(path):
    subject = open_subject(path)
    return cost_figures(subject, forecast(capacity(subject.reader)) if subject.reader else None)


@pytest.mark.parametrize("tasks", [1, 2, 8])
def test_a_store_is_measured_by_its_files(tmp_path, tasks):
    store = random_store(tmp_path / "s", tasks)
    found = measured(tmp_path / "s")
    figures = found.figures
    assert (figures.tasks, figures.store_bytes) == (tasks, store.bytes_total())
    assert figures.first_task_bytes == store.bytes_of("task 0")
    assert figures.task_bytes in {store.bytes_of(name) for name in store.task_names()}
    assert figures.task_hours == 2.0 / 3600
    assert found.switch_seconds > 0
    assert figures.tasks_per_network is not None
    assert set(found.sources) == set(asdict(figures))
    assert found.assumed == (("task_bytes_growth", "step_ratio") if tasks < 6 else ("step_ratio",))
    json.dumps(asdict(found), allow_nan=False)


def test_a_run_with_a_reference_leaves_nothing_to_assume(tmp_path):
    random_store(tmp_path / "store", 8)
    result(8, reference=REFERENCE).save(tmp_path / "result.json")
    found = measured(tmp_path)
    assert found.assumed == ()
    assert found.figures.step_ratio == pytest.approx(0.01 / 0.008)
    assert found.figures.dense_bytes == 400_000
    assert found.sources["dense_bytes"] == "result.json metrics.dense_bytes"


def test_a_result_by_itself_says_what_it_lacks(tmp_path):
    result(2).save(tmp_path / "result.json")
    found = measured(tmp_path)
    assert found.switch_seconds is None
    assert found.figures.store_bytes == 402_000
    assert {"base_bytes", "store_bytes", "step_ratio", "tasks_per_network"} < set(found.assumed)
    assert all(found.sources[name].startswith("assumed: ") for name in found.assumed)


def test_without_tasks_nothing_is_measured(tmp_path):
    empty_store(tmp_path / "s")
    assert measured(tmp_path / "s") is None
    result(0).save(tmp_path / "result.json")
    assert measured(tmp_path / "result.json") is None


def test_tasks_without_seconds_leave_training_out(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]}, seconds=None, metrics={})
    found = measured(tmp_path / "s")
    assert found.figures.task_hours == 0
    assert "task_hours" in found.assumed


def test_two_hundred_tasks(large_store):
    assert measured(large_store.path).figures.tasks == 200
