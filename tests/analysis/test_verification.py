"""What is said to be verified was read, rebuilt or measured; what differs is named."""

from __future__ import annotations

import json

import pytest

import narrows as nw
from analysis_samples import random_store, result
from narrows.analysis.verification import Changed, check_store, remeasured
from toys import MLP, learn


@pytest.mark.parametrize("tasks", [0, 1, 2, 9])
def test_every_file_of_a_sound_store_is_read_and_every_task_rebuilt(tmp_path, tasks):
    store = random_store(tmp_path / "s", tasks)
    found = check_store(store)
    assert found.sound
    assert (found.tasks, found.rebuilt, found.overwritten) == (tasks, tasks, ())
    files = [file for file in (tmp_path / "s").rglob("*") if file.is_file() and not file.name.startswith(".lock")]
    assert (found.files, found.bytes) == (len(files), sum(file.stat().st_size for file in files))
    json.dumps(found.to_json())


def test_damage_is_told_and_what_needs_it_is_not_called_rebuilt(tmp_path):
    store = random_store(tmp_path / "s", 3)
    (next((tmp_path / "s/tasks").glob("0000-*")) / "mask.bin").write_bytes(b"x")
    found = check_store(store)
    assert not found.sound
    assert "mask.bin" in found.problems[0]
    assert found.rebuilt < 3


def test_tasks_that_were_overwritten_are_said_to_be(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    for name, method in (("a", nw.Finetune()), ("b", nw.IBM(density=0.2)), ("c", nw.EWC())):
        learn(store, name, method)
    found = check_store(store.directory)
    assert (found.rebuilt, found.overwritten, found.sound) == (2, ("a",), True)


def test_accuracies_that_stay_are_exact():
    found = remeasured(result(4))
    assert (found.tasks, found.measurements, found.BWT, found.largest_change, found.exact) == (4, 6, 0.0, 0.0, True)
    json.dumps(found.to_json())


def test_accuracies_that_change_are_named_however_little():
    rows = [[0.9, 0.1], [0.9 - 1e-9, 0.8]]
    found = remeasured(result(2, rows=rows))
    assert found.changed == (Changed("task 0", "task 1", 0.9, 0.9 - 1e-9),)
    assert found.exact is False


def test_nothing_measured_twice_is_nothing_known():
    assert remeasured(None) is None
    assert remeasured(result(0)) is None
    assert remeasured(result(2, rows=[[None, None], [0.9, 0.9]])) is None
    assert remeasured(result(1)).exact is None
