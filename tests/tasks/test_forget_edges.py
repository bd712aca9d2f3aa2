"""Forgetting beside damage, users' files, other threads and failing disks."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from narrows.errors import DamagedStoreError, StoreError
from narrows.store import change, commit
from narrows.store.reader import StoreReader
from narrows.tasks import TaskStore
from toys import METHODS, TOYS, learn, logits

TOY = TOYS["mlp"]
REUSING = nw.IBM(density=0.6, prune_every=2, refine=False)
X = TOY.batch(4, 3, seed=9)[0]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, b on a, c on both, and "alone", which shares nothing."""
    path = tmp_path_factory.mktemp("four") / "s"
    store = TaskStore.create(path, TOY.make(), head=TOY.place)
    for name in ("a", "b", "c"):
        learn(store, name, REUSING)
    learn(store, "alone", METHODS["independent"])
    return path


@pytest.fixture
def store(four: Path, tmp_path: Path) -> TaskStore:
    return TaskStore.open(shutil.copytree(four, tmp_path / "s"), TOY.make())


def directory(store: TaskStore, name: str) -> Path:
    return store.path / "tasks" / store.directory.record(name).directory


def test_a_load_sees_one_store_though_a_thread_forgets_and_learns_anew_meanwhile(
    store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same TaskStore, as two threads have it: what the other one does comes between two reads of this one."""
    expected, real, left = logits(store.load("c"), X), StoreReader.record, [True]

    def record(self: StoreReader, name: str) -> Any:
        found = real(self, name)
        if left and name == "c":
            left.clear()
            store.forget("a")
            torch.manual_seed(5)
            learn(store, "a", REUSING)
        return found

    monkeypatch.setattr(StoreReader, "record", record)
    assert torch.equal(logits(store.load("c"), X), expected)
    assert not left


def test_tasks_that_it_overwrote_are_named_and_go_back(tmp_path: Path) -> None:
    store = TaskStore.create(tmp_path / "s", TOY.make(), head=TOY.place)
    learn(store, "one", METHODS["finetune"])
    before = logits(store.load("one"), X)
    learn(store, "two", METHODS["finetune"])
    learn(store, "beside", REUSING)
    assert not torch.equal(logits(store.load("one"), X), before)
    assert store.forget("two", dry_run=True).reverts == ("one",)
    assert store.forget("two").reverts == ("one",)
    assert torch.equal(logits(store.load("one"), X), before)
    assert store.forget("beside").reverts == ()


def test_users_files_stay(store: TaskStore) -> None:
    for name in ("a", "b"):
        (directory(store, name) / "NOTES.txt").write_text(f"mine, of {name}")
    kept = [directory(store, name) / "NOTES.txt" for name in ("a", "b")]
    done = store.forget("a")
    assert "b" in done.kept_for
    assert [path.read_text() for path in kept] == ["mine, of a", "mine, of b"]
    assert [sorted(path.parent.iterdir()) for path in kept] == [[path] for path in kept]
    store.compact()
    learn(store, "next", REUSING)
    assert all(path.exists() for path in kept)
    assert all(problem.harmless for problem in store.verify(deep=True))


def test_a_damaged_task_that_nobody_builds_on_can_be_forgotten(store: TaskStore) -> None:
    (directory(store, "c") / "mask.bin").write_bytes(b"damaged")
    expected = {name: logits(store.load(name), X) for name in ("a", "b", "alone")}
    done = store.forget("c")
    assert done.kept_for == {}
    assert all(torch.equal(logits(store.load(name), X), expected[name]) for name in expected)
    assert store.verify(deep=True) == []


def test_damage_elsewhere_does_not_keep_a_task_nobody_builds_on(store: TaskStore) -> None:
    (directory(store, "c") / "mask.bin").write_bytes(b"damaged")
    done = store.forget("alone")
    assert (done.freed, done.values) == (None, None)
    assert store.directory.task_names() == ("a", "b", "c")
    with pytest.raises(DamagedStoreError, match=r"mask\.bin"):
        store.forget("a")  # what c needs of it cannot be known
    assert store.directory.task_names() == ("a", "b", "c")


def test_its_checkpoint_goes_with_it(store: TaskStore) -> None:
    store.checkpoint("a").save({"weights": [torch.ones(3)]})
    store.forget("a")
    assert not store.checkpoint("a").exists()


def test_what_could_not_be_removed_is_named_and_removed_later(
    store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = directory(store, "alone")

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", broken)
        assert store.forget("alone").leftovers == (f"tasks/{gone.name}",)
    assert gone.exists()
    store.compact()
    assert not gone.exists()


def test_a_first_task_that_fails_to_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its head settles what is shared: that, too, is part of the one change."""
    store = TaskStore.create(tmp_path / "s", TOY.make(), head=TOY.place)
    before = (store.path / "store.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(commit, "write_task", full)
        with pytest.raises(StoreError, match="as it was"):
            learn(store, "first", REUSING)
    assert (store.path / "store.json").read_bytes() == before


@pytest.mark.parametrize("parents", [("a", "a"), ("b", "a"), ("c",), ("alone",), ("nobody",)])
def test_parents_that_cannot_be_are_refused(store: TaskStore, parents: tuple[str, ...]) -> None:
    """As a forger may write them: behind hashes that fit."""
    ours = store.directory
    with ours.lock():
        record, files = change.encode_task(replace(ours.record("c"), parents=parents), ours.blobs("c"), 77)
        tasks = tuple(change.ref_of(record, files) if ref.name == "c" else ref for ref in ours.header.tasks)
        forged = replace(ours.header, tasks=tasks, next_index=78)
        commit.apply(ours.path, ours.header, change.StoreChange(forged, {record.directory: files}))
    with pytest.raises(DamagedStoreError, match="names parents that are not tasks before it"):
        TaskStore.open(store.path, TOY.make()).load("c")
