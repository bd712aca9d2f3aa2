"""Damage in a task that others build on reaches no further than what they have of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import narrows as nw
from narrows.errors import DamagedStoreError
from narrows.store import verify
from narrows.tasks import TaskStore
from toys import METHODS, TOYS, learn, same, state

TOY = TOYS["batchnorm"]
REUSING = nw.IBM(density=0.6, prune_every=2, refine=False)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, and b that reuses weights of it; of one that overwrites, old and new."""
    path = tmp_path_factory.mktemp("family") / "s"
    store = TaskStore.create(path, TOY.make(), head=TOY.place)
    for name, method in (("a", REUSING), ("b", REUSING), ("old", METHODS["finetune"]), ("new", METHODS["finetune"])):
        learn(store, name, method, TOY)
    return path


@pytest.fixture
def store(family: Path, tmp_path: Path) -> TaskStore:
    return TaskStore.open(shutil.copytree(family, tmp_path / "s"), TOY.make())


def damage(store: TaskStore, task: str, file: str) -> str:
    label = f"tasks/{store.directory.record(task).directory}/{file}"
    data = bytearray((store.path / label).read_bytes())
    data[-1] ^= 1
    (store.path / label).write_bytes(data)
    return label


def test_what_a_parent_keeps_for_itself_is_not_needed_by_its_children(store: TaskStore) -> None:
    assert store.directory.record("b").parents == ("a",)
    before, used = state(store.load("b")), store.values_kept()
    file = damage(store, "a", "private.safetensors")
    with pytest.raises(DamagedStoreError, match=file):
        store.load("a")
    assert same(state(store.load("b")), before)
    assert store.values_kept() == used
    learn(store, "c", REUSING, TOY)
    assert store.directory.record("c").parents
    problems = store.verify(deep=True)
    assert [(problem.file, problem.task, problem.spreads) for problem in problems] == [(file, "a", False)]
    assert store.forget("a").kept_for["b"] > 0  # its children take over what they have of it
    assert same(state(store.load("b")), before)
    assert store.verify(deep=True) == []


@pytest.mark.parametrize("file", ["claimed.safetensors", "mask.bin", "task.json"])
def test_what_a_child_reuses_is_needed(store: TaskStore, file: str) -> None:
    label = damage(store, "a", file)
    for name in ("a", "b"):
        with pytest.raises(DamagedStoreError, match=label):
            store.load(name)
    assert all(problem.spreads for problem in store.verify(deep=True))


@pytest.mark.parametrize(
    ("task", "file"), [("new", "private.safetensors"), ("old", "claimed.safetensors"), ("a", "claimed.safetensors")]
)
def test_a_task_that_was_overwritten_needs_the_weights_of_the_last_and_no_others(
    store: TaskStore, task: str, file: str
) -> None:
    before = state(store.load("old"))
    damage(store, task, file)
    assert same(state(store.load("old")), before)


def test_a_child_of_a_damaged_parent_is_still_checked(store: TaskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """That its parent's private file is damaged excuses no other weights than were committed."""
    damage(store, "a", "private.safetensors")
    monkeypatch.setattr(verify, "digest_of", lambda *_: "that of other weights")
    assert {problem.task for problem in store.verify(deep=True)} >= {"a", "b"}
