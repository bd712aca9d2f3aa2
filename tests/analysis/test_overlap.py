"""Masks are compared as sets, and reuse is counted with the task that holds the value."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

import narrows as nw
from analysis_samples import add, empty_store, random_store
from narrows.analysis import overlap as module
from narrows.analysis.overlap import Reuse, overlap
from toys import MLP, learn


def test_overlap_is_counted_and_held_against_chance(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0, 1, 2], "two.weight": [0]}, {"one.weight": [0, 1, 2], "two.weight": [0]})
    add(store, "b", {"one.weight": [0, 1], "two.weight": [7]}, {"two.weight": [7]})
    found = overlap(store)
    assert found.common == ((4, 2), (2, 3))
    assert found.jaccard == ((1.0, 0.4), (0.4, 1.0))
    assert found.contained == ((1.0, 0.5), (2 / 3, 1.0))
    assert found.expected[0][1] == pytest.approx(3 * 2 / 60 + 1 * 1 / 40)
    assert found.lift[0][1] == pytest.approx(2 / found.expected[0][1])
    assert found.reuse == (Reuse("b", "a", 2),)


def test_a_refined_weight_is_reused_from_whom_refined_it(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0, 1]}, {"one.weight": [0, 1]})
    add(store, "b", {"one.weight": [1]}, {"one.weight": [1]})
    add(store, "c", {"one.weight": [0, 1, 9]}, {"one.weight": [9]})
    assert overlap(store).reuse == (Reuse("c", "a", 1), Reuse("c", "b", 1))
    assert store.record("c").parents == ("a", "b")


@pytest.mark.parametrize("tasks", [0, 1, 2, 9])
def test_the_edges_are_the_parents_and_add_up(tmp_path, tasks):
    store = random_store(tmp_path / "s", tasks, refine=1)
    found = overlap(store)
    for record in store.records():
        edges = [edge for edge in found.reuse if edge.task == record.name]
        assert tuple(edge.source for edge in edges) == record.parents
        assert sum(edge.weights for edge in edges) == sum(
            layer["used"] - layer["claimed"] for layer in record.layers.values()
        )
    assert [found.common[i][i] for i in range(tasks)] == list(found.kept)
    json.dumps(asdict(found), allow_nan=False)


def test_a_task_that_uses_nothing_has_no_share(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]})
    add(store, "none", {}, {})
    found = overlap(store)
    assert (found.jaccard[0][1], found.contained[1][0], found.lift[0][1]) == (0.0, None, None)
    assert found.jaccard[1][1] is None


def test_tasks_that_share_nothing_are_left_out(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    for name, method in (("a", nw.Independent()), ("b", nw.IBM(density=0.2)), ("c", nw.Finetune())):
        learn(store, name, method)
    found = overlap(store.directory)
    assert (found.tasks, found.left_out, found.reuse) == (("b",), ("a", "c"), ())


def test_a_large_store_is_compared_block_by_block(tmp_path, monkeypatch):
    store = random_store(tmp_path / "s", 7)
    whole = overlap(store)
    monkeypatch.setattr(module, "MOST", 10)
    assert overlap(store) == whole
    masks = [store.subnet(name).kept_masks() for name in store.task_names()]
    for i, mine in enumerate(masks):
        for j, theirs in enumerate(masks):
            assert whole.common[i][j] == sum(int((mine[key] & theirs[key]).sum()) for key in mine)


def test_two_hundred_tasks(large_store):
    found = overlap(large_store)
    assert len(found.common) == 200
    assert max(map(max, found.common)) == 4
