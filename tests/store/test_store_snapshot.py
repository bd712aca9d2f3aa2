"""What is frozen, gathered: the same as what the tasks say, never needed, and read instead of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from narrows.store import StoreDirectory, TaskContent, commit
from narrows.store.change import StoreChange, with_snapshot
from narrows.store.compose import composed
from narrows.store.snapshot import EVERY
from narrows.subnet import Composition
from store_samples import base, content, record, specs

TASKS = 2 * EVERY + 3


def same(one: Composition, other: Composition) -> bool:
    parts = ((one.values, other.values), (one.owners, other.owners))
    tensors = all(torch.equal(left[name], right[name]) for left, right in parts for name in left)
    rest = ("tasks", "kept", "own", "overwriting")
    return tensors and all(getattr(one, name) == getattr(other, name) for name in rest)


def refining(step: int) -> TaskContent:
    """A task that has values of its own where another has, too."""
    given = content(step % 4)
    parts = {name: replace(part, values=part.values + step) for name, part in given.subnet.parts.items()}
    return replace(given, subnet=replace(given.subnet, parts=parts))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "s"
    store = StoreDirectory.create(path, base(), specs())
    with store.lock():
        for step in range(TASKS):
            isolation = "own" if step == 5 else "none" if step == EVERY + 1 else "shared"
            store.append(record(f"task {step}", isolation=isolation), refining(step))
    return path


@pytest.fixture
def store(many: Path, tmp_path: Path) -> StoreDirectory:
    return StoreDirectory.open(shutil.copytree(many, tmp_path / "s"))


def test_it_says_what_the_tasks_say(store: StoreDirectory) -> None:
    found = store.snapshot()
    assert found is not None
    assert len(found.tasks) == 2 * EVERY
    assert same(composed(store), composed(store, anew=True))
    assert store.verify() == []
    assert len(list((store.path / "snapshot").iterdir())) == 1


def test_the_next_task_reads_no_older_one(store: StoreDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = StoreDirectory.subnet
    monkeypatch.setattr(StoreDirectory, "subnet", lambda self, name: read.append(name) or real(self, name))
    composed(store)
    assert read == [f"task {step}" for step in range(2 * EVERY, TASKS)]


@pytest.mark.parametrize("damage", ["missing", "altered", "truncated"])
def test_damage_costs_nothing_is_named_and_compact_mends_it(store: StoreDirectory, damage: str) -> None:
    path = next((store.path / "snapshot").iterdir())
    expected = composed(store, anew=True)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    if damage != "missing":
        path.write_bytes(data if damage == "altered" else data[:-9])
    assert same(composed(store), expected)
    (problem,) = store.verify()
    assert problem.file.startswith("snapshot/")
    assert problem.task is None
    assert "narrows compact" in problem.remedy
    with store.lock():
        store.append(record("next"), content(1))
        assert store.verify() != []
        store.compact()
    assert store.verify() == []
    assert same(composed(store), composed(store, anew=True))


def test_damage_to_a_task_does_not_keep_the_next_out(store: StoreDirectory) -> None:
    with store.lock():
        for step in range(TASKS, 3 * EVERY - 1):
            store.append(record(f"task {step}"), content(1))
        (store.path / "tasks" / "0017-task-17" / "mask.bin").unlink()
        store.append(record("due"), content(1))
    assert store.header.snapshot is not None
    assert store.header.snapshot.tasks == 2 * EVERY
    assert store.task_names()[-1] == "due"


def test_a_snapshot_of_other_tasks_is_named(store: StoreDirectory) -> None:
    """Each hash is right, as only a forger or a fault of ours would have it."""
    before = composed(store, anew=True)
    before.values["a.weight"][0] += 1
    with store.lock():
        fresh = replace(store.header, next_index=store.header.next_index + 1)
        commit.apply(store.path, store.header, with_snapshot(StoreChange(fresh), before.held()))
    (problem,) = store.verify()
    assert "does not hold what the tasks hold" in problem.what


def test_forgetting_makes_it_anew(store: StoreDirectory) -> None:
    old = {path.name for path in (store.path / "snapshot").iterdir()}
    with store.lock():
        store.forget("task 5")  # keeps a network of its own
    assert {path.name for path in (store.path / "snapshot").iterdir()}.isdisjoint(old)
    assert store.header.snapshot is not None
    assert store.header.snapshot.tasks == TASKS - 1
    assert same(composed(store), composed(store, anew=True))
    assert store.verify() == []


def test_what_the_model_is_stays_with_the_store(tmp_path: Path) -> None:
    about = {"factory": "shop.nets:build", "arguments": {"width": 3, "names": ["a"]}}
    store = StoreDirectory.create(tmp_path / "s", base(), specs(), model=about)
    with store.lock():
        store.append(record("x"), content(0))
        store.forget("x")
    assert StoreDirectory.open(tmp_path / "s").header.model == about
