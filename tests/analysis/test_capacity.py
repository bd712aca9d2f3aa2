"""Every weight is counted once, where the masks say it belongs."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch

import narrows as nw
from analysis_samples import add, empty_store, random_store
from narrows.analysis.capacity import capacity
from narrows.errors import DamagedStoreError
from narrows.store.compose import composed
from toys import MLP, learn


def built(path):
    """Two tasks by hand: the second reuses one weight, claims one again, and claims one."""
    store = empty_store(path)
    add(store, "a", {"one.weight": [0, 1, 2]}, {"one.weight": [0, 1, 2]})
    add(store, "b", {"one.weight": [0, 1, 5], "two.weight": [7]}, {"one.weight": [1, 5], "two.weight": [7]})
    return store


def test_each_weight_is_free_or_used_by_so_many(tmp_path):
    one, two = capacity(built(tmp_path / "s")).layers
    assert (one.weights, one.free, one.kept_by) == (60, 56, (2, 2))
    assert one.claimed == 5
    assert (two.weights, two.free, two.kept_by, two.claimed) == (40, 39, (1,), 1)


def test_growth_tells_claimed_fresh_and_reused_apart(tmp_path):
    a, b = capacity(built(tmp_path / "s")).growth
    assert (a.used, a.taken, a.claimed, a.fresh, a.reused) == (0.03, 0.03, 3, (3, 0), 0)
    assert (b.used, b.taken, b.claimed, b.fresh, b.reused) == (0.06, 0.05, 3, (1, 1), 1)


@pytest.mark.parametrize("tasks", [0, 1, 2, 12])
def test_the_parts_make_up_the_whole(tmp_path, tasks):
    store = random_store(tmp_path / "s", tasks, refine=1)
    found = capacity(store)
    for layer in (*found.layers, found.total):
        assert layer.free + sum(layer.kept_by) == layer.weights
    assert found.total.claimed == sum(step.claimed for step in found.growth)
    assert len(found.growth) == len(found.tasks) == tasks
    assert found.used == pytest.approx(composed(store).held().values_kept())
    frozen = sum(int(mask.sum()) for mask in composed(store).masks().values())
    assert found.total.weights - found.total.free == frozen
    json.dumps(asdict(found), allow_nan=False)


def test_networks_apart_count_as_whole_ones_and_hold_nothing(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    for name, method in (("a", nw.Independent()), ("b", nw.IBM(density=0.2)), ("c", nw.Finetune()), ("d", nw.EWC())):
        learn(store, name, method)
    found = capacity(store.directory)
    assert (found.own, found.tasks, found.overwriting) == (("a",), ("b",), ("c", "d"))
    assert [step.used - step.taken for step in found.growth] == pytest.approx([1.0, 1.0, 2.0, 2.0])
    assert found.used == pytest.approx(store.values_kept())
    assert found.total.kept_by == (found.total.claimed,)
    assert [sum(step.fresh) for step in found.growth] == [0, found.total.claimed, 0, 0]


def test_a_forgotten_task_leaves_no_trace(tmp_path):
    store = built(tmp_path / "s")
    with store.lock():
        store.forget("a")
    one, _ = capacity(store).layers
    assert (one.free, one.kept_by, one.claimed) == (57, (3,), 3)


def test_two_hundred_tasks(large_store):
    found = capacity(large_store)
    assert found.total.kept_by[0] + found.total.free <= found.total.weights
    assert len(found.growth) == 200
    assert found.total.free == 400
    assert torch.tensor([step.taken for step in found.growth]).diff().min() > 0


def test_a_damaged_mask_is_named_and_not_passed_over(tmp_path):
    store = built(tmp_path / "s")
    (next((tmp_path / "s/tasks").glob("0001-*")) / "mask.bin").write_bytes(b"NRWMASK1")
    with pytest.raises(DamagedStoreError, match=r"0001-b/mask\.bin"):
        capacity(store)
