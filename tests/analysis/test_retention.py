"""What a task keeps is what its record says, whatever the record leaves out."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from analysis_samples import add, empty_store, random_store
from narrows.analysis.retention import retention
from narrows.errors import DamagedStoreError


def test_counts_fractions_and_nats_follow_from_the_record(tmp_path):
    store = empty_store(tmp_path / "s")
    layers = {
        "one.weight": {"weights": 60, "used": 6, "claimed": 2, "nats": 12.0, "ratio": 0.5},
        "two.weight": {"weights": 40, "used": 4, "claimed": 4, "nats": None, "ratio": None},
    }
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]}, layers=layers)
    found = retention(store)[0]
    one, two = found.layers
    assert (one.layer, one.density, one.reused, one.nats, one.nats_per_weight, one.ratio) == (
        "one.weight", 0.1, 4, 12.0, 2.0, 0.5,
    )  # fmt: skip
    assert (two.nats, two.nats_per_weight, two.ratio) == (None, None, None)
    assert (found.total.weights, found.total.kept, found.total.claimed, found.total.nats) == (100, 10, 6, 12.0)
    assert found.total.nats_per_weight == 2.0  # of the six weights whose nats are known
    json.dumps(asdict(found), allow_nan=False)


def test_a_record_without_an_account_says_nothing_of_layers(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]}, layers={})
    found = retention(store)[0]
    assert (found.layers, found.total) == ((), None)


def test_an_account_that_is_none_is_damage(tmp_path):
    store = empty_store(tmp_path / "s")
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]}, layers={"one.weight": {"weights": "many"}})
    with pytest.raises(DamagedStoreError, match="not as narrows writes it"):
        retention(store)


@pytest.mark.parametrize("tasks", [0, 1, 2])
def test_there_is_one_for_each_task(tmp_path, tasks):
    assert [kept.task for kept in retention(random_store(tmp_path / "s", tasks))] == [f"task {i}" for i in range(tasks)]
