"""A store that was opened once sees what others commit: every call reads what is there when it is made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import narrows as nw
from narrows.errors import StoreMissingError, UnknownNameError
from narrows.production.describing import describe
from narrows.tasks import TaskStore
from toys import MLP, learn, logits, same, state

METHOD = nw.IBM(density=0.3, prune_every=2)
X = MLP.batch(4, 3, seed=9)[0]


def opened(tmp_path: Path) -> tuple[TaskStore, TaskStore]:
    """The same store, twice, as a process that learns and one that answers have it."""
    writer = TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    return writer, TaskStore.open(tmp_path / "s", MLP.make())


def test_commits_of_others_are_seen_by_every_read(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path)
    assert (reader.names(), reader.tasks(), reader.values_kept()) == ((), (), 0.0)
    for name in ("one", "two"):
        learn(writer, name, METHOD)
    assert reader.names() == ("one", "two")
    assert reader.tasks() == writer.tasks()
    assert reader.values_kept() == writer.values_kept() > 0
    assert reader.shared == writer.shared  # the first head took its place's parameters out
    assert reader.explain("two") == writer.explain("two")
    assert describe(reader, "two")["parents"] == ["one"]
    assert same(state(reader.load("two")), state(writer.load("two")))
    assert [name for name, _ in reader.route(X).ranking] == [name for name, _ in writer.route(X).ranking]


def test_what_others_forget_is_gone_from_every_read(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path)
    for name in ("one", "two", "three"):
        learn(writer, name, METHOD)
    expected = logits(reader.load("three"), X)
    writer.forget("one")
    assert reader.names() == ("two", "three")
    assert [record.name for record in reader.tasks()] == ["two", "three"]
    assert reader.values_kept() == writer.values_kept()
    assert torch.equal(logits(reader.load("three"), X), expected)
    with pytest.raises(UnknownNameError, match="'one'"):
        reader.load("one")


def test_a_task_in_progress_reads_what_is_committed_and_leaves_it_to_others_to_read(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path)
    learn(writer, "one", METHOD)
    with writer.begin("two", METHOD, head=MLP.head(3)) as task:
        task.fit([MLP.batch(8, 3)], nw.Training(4))
        for store in (writer, reader):
            assert store.names() == ("one",)
            assert not store.load("one").training
            assert store.verify(deep=True) == []
        task.commit()
    assert writer.names() == reader.names() == ("one", "two")


def test_a_read_leaves_alone_what_a_writer_of_another_thread_works_by(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path)
    before = reader.directory.header
    learn(writer, "one", METHOD)
    reader.tasks(), reader.values_kept(), reader.load("one"), reader.verify(), reader.forget("one", dry_run=True)
    assert reader.directory.header is before
    learn(reader, "two", METHOD)  # who writes reads it anew, under the lock
    assert writer.names() == ("one", "two")


def test_a_store_that_is_gone_is_not_answered_for_from_memory(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path)
    learn(writer, "one", METHOD)
    shutil.rmtree(tmp_path / "s")
    with pytest.raises(StoreMissingError):
        reader.tasks()
