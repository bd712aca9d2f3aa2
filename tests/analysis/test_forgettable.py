"""One walk over the masks says what the dry run of `forget` says of every task."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

import narrows as nw
from analysis_samples import random_store
from narrows.analysis.forgettable import forgettable
from toys import MLP, learn


def assert_as_dry_run(store, snapshots=True):
    for found in forgettable(store):
        planned = store.forget(found.task, dry_run=True)
        assert found.kept_for == tuple(planned.kept_for.items())
        assert (found.freed, found.values) == (planned.freed, planned.values)
        assert (found.learned_after, found.reverts) == (planned.learned_after, planned.reverts)
        assert found.drops_carry == planned.drops_carry
        if not snapshots and not found.kept_for:
            assert found.bytes == planned.bytes
        elif not snapshots:
            assert found.bytes == pytest.approx(planned.bytes, rel=0.2)


@pytest.mark.parametrize(("tasks", "refine"), [(0, 0), (1, 0), (2, 0), (5, 0), (5, 1), (12, 2)])
def test_it_says_what_the_dry_run_says(tmp_path, tasks, refine):
    assert_as_dry_run(random_store(tmp_path / "s", tasks, refine=refine), snapshots=tasks > 7)


def test_it_says_so_of_every_isolation_and_of_what_is_carried(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    methods = (nw.IBM(density=0.2), nw.Independent(), nw.Finetune(), nw.WSN(density=0.2), nw.EWC(), nw.IBM(density=0.2))
    for number, method in enumerate(methods):
        learn(store, f"task {number}", method)
    assert_as_dry_run(store.directory, snapshots=False)
    found = forgettable(store.directory)
    assert found[4].reverts == ("task 2",)
    assert [bool(one.kept_for or one.learned_after) for one in found] == [True] * 5 + [False]


def test_two_hundred_tasks_take_one_walk(large_store):
    found = forgettable(large_store)
    planned = large_store.forget("task 3", dry_run=True)
    assert found[3].kept_for == tuple(planned.kept_for.items())
    assert sum(one.values for one in found) <= 200
    json.dumps([asdict(one) for one in found])
