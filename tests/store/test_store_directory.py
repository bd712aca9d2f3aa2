from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from narrows.errors import (
    ConfigError,
    StoreError,
    StoreMissingError,
    TaskExistsError,
    UnknownNameError,
)
from narrows.store import DamagedFileError, StoreDirectory, TaskContent, TensorSpec, names
from narrows.subnet import Part
from store_samples import (
    assert_content,
    assert_sound,
    assert_tensors,
    base,
    carry,
    content,
    make,
    record,
    snapshot,
    specs,
)
from subnets import content_of


def test_everything_comes_back(tmp_path):
    make(tmp_path / "s", 3)
    assert_sound(tmp_path / "s", 3)
    store = StoreDirectory.open(tmp_path / "s")
    assert store.shared == tuple(specs())
    assert store.private == ("bias",)
    assert [item.index for item in store.records()] == [0, 1, 2]
    assert [item.directory for item in store.records()] == ["0000-task-0", "0001-task-1", "0002-task-2"]
    assert store.path == tmp_path / "s"


def test_append_returns_the_record_as_it_is_read(tmp_path):
    store = make(tmp_path / "s", 0)
    with store.lock():
        written = store.append(record("x", head={"classes": 3}, parents=(), seconds=3), content(0))
    assert StoreDirectory.open(tmp_path / "s").record("x") == written
    assert written.bytes == store.bytes_of("x")
    assert written.seconds == 3.0
    assert set(written.blobs) == {"claimed.safetensors", "mask.bin", "private.safetensors"}


def test_bytes_are_measured(tmp_path):
    store = make(tmp_path / "s", 2)
    files = snapshot(tmp_path / "s")
    assert store.bytes_total() == sum(map(len, files.values()))
    assert store.bytes_of("task 1") == sum(len(data) for name, data in files.items() if "task-1" in name)


def test_appending_leaves_older_files_as_they_are(tmp_path):
    store = make(tmp_path / "s", 2)
    before = snapshot(tmp_path / "s")
    with store.lock():
        store.append(record("task 2"), content(2))
    after = snapshot(tmp_path / "s")
    gone = {name for name in before if after.get(name) != before[name]}
    assert gone == {"store.json", "carry/0001.safetensors"}


def test_views_tied_and_turned_tensors(tmp_path):
    store = make(tmp_path / "s", 0)
    tied = torch.arange(6.0).reshape(2, 3)
    private = {"a": tied, "b": tied, "c": tied.t(), "d": tied[:, 1], "e": tied.requires_grad_()}
    given = content(0)
    with store.lock():
        store.append(record("x"), replace(given, private=private))
    assert_tensors(store.content("x").private, {name: tensor.detach() for name, tensor in private.items()})
    found = store.content("x").private
    found["a"].zero_()
    assert found["b"].any()


def test_a_task_may_claim_nothing(tmp_path):
    store = make(tmp_path / "s", 0)
    with store.lock():
        store.append(record("x"), content_of(specs(), content(1).subnet.kept_masks(), {}, {}, {}))
    found = store.subnet("x")
    assert set(found.parts) == {spec.name for spec in specs()}
    assert (found.claimed, found.reused) == (0, content(1).subnet.claimed + content(1).subnet.reused)


def private(name: str, tensor: torch.Tensor) -> TaskContent:
    given = content(1)
    return replace(given, private={**given.private, name: tensor})


def part(**changes: Any) -> TaskContent:
    given = content(1)
    parts = {**given.subnet.parts, "a.weight": replace(given.subnet.parts["a.weight"], **changes)}
    return replace(given, subnet=replace(given.subnet, parts=parts))


def parts(change: Callable[[dict[str, Part]], object]) -> TaskContent:
    given = content(1)
    parts = dict(given.subnet.parts)
    change(parts)
    return replace(given, subnet=replace(given.subnet, parts=parts))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (parts(lambda parts: parts.pop("a.weight")), "says nothing of the shared parameter a.weight"),
        (parts(lambda parts: parts.update(other=parts["a.weight"])), "'other', which is not a shared parameter"),
        (part(claimed=torch.tensor([1.0])), "should have float32"),
        (part(claimed=torch.tensor([1, 2, 3, 4, 21])), "positions outside its 21 elements"),
        (part(reused=torch.tensor([-1, 2])), "positions outside its 21 elements"),
        (part(reused=torch.tensor([4, 3])), "positions that do not ascend"),
        (part(reused=torch.tensor([3, 3])), "positions that do not ascend"),
        (part(reused=content(1).subnet.parts["a.weight"].claimed), "both claimed and reused"),
        (part(reused=torch.tensor([1.5])), "has positions of torch.float32"),
        (part(values=torch.ones(2)), r"should have float32, \(5,\)"),
        (part(values=torch.ones(5).double()), "should have float32"),
        (private("p", torch.ones(2).to_sparse()), "no plain data"),
        (private("p", torch.ones(2, device="meta")), "no plain data"),
        (private("__metadata__", torch.ones(2)), "__metadata__"),
    ],
)
def test_content_that_does_not_fit_is_refused(tmp_path, given, what):
    store = make(tmp_path / "s", 1)
    before = snapshot(tmp_path / "s")
    with store.lock(), pytest.raises(StoreError, match=what):
        store.append(record("x"), given)
    assert snapshot(tmp_path / "s") == before


@pytest.mark.parametrize(
    "fault",
    [
        {"metrics": {"accuracy": float("nan")}},
        {"metrics": {"accuracy": torch.ones(1)}},
        {"metrics": {1: 1, "1": 2}},
        {"isolation": "other"},
        {"method": {"config": {}}},
        {"seconds": -1.0},
        {"weights_sha256": "abc"},
        {"data": {"name": "\ud800"}},
    ],
)
def test_records_that_cannot_be_read_back_are_refused(tmp_path, fault):
    store = make(tmp_path / "s", 1)
    with store.lock(), pytest.raises(StoreError, match=r"task\.json|record"):
        store.append(record("x", **fault), content(1))
    assert_sound(tmp_path / "s", 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("returns", "returns"),
        ("../../etc/passwd", "etc-passwd"),
        ("/", "task"),
        ("..", "task"),
        ("Größe", "groe"),
        ("二", "task"),
        ("a" * 200, "a" * 40),
        ("CON", "con"),
        ("\N{FAMILY}", "task"),
    ],
)
def test_any_name_is_stored_inside_the_store(tmp_path, name, expected):
    store = make(tmp_path / "s", 0)
    with store.lock():
        written = store.append(record(name), content(0))
    assert written.directory == f"0000-{names.slug(name)}"
    assert names.directory_index(written.directory) == 0
    assert names.slug(name) == expected
    assert (tmp_path / "s/tasks" / written.directory / "mask.bin").is_file()
    assert [item.name for item in tmp_path.iterdir()] == ["s"]
    assert StoreDirectory.open(tmp_path / "s").record(name).name == name


@pytest.mark.parametrize(
    "name",
    ["cafe\u0301", " a", "a ", "a\u00a0", "a\u00a0b", "a\u200bb", "a\u200d", "x\u202e.exe", "a\ufe0f", "a\u3164"],
)
def test_names_that_look_like_others_are_refused(tmp_path, name):
    store = make(tmp_path / "s", 0)
    with store.lock(), pytest.raises(ConfigError, match=r"task name '[ -~]*' .*; choose another"):
        store.append(record(name), content(0))


def test_a_name_that_looks_like_one_from_before_is_taken(tmp_path, monkeypatch):
    store = make(tmp_path / "s", 0)
    with store.lock():
        with monkeypatch.context() as patch:  # as an older narrows wrote it
            patch.setattr(names, "check_task_name", str)
            store.append(record("cafe\u0301 "), content(0))
        with pytest.raises(TaskExistsError):
            store.append(record("caf\u00e9"), content(1))
        assert store.record("cafe\u0301 ").index == 0
        store.compact()
        store.forget("cafe\u0301 ")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0", "x" * 201, "\x7f", "\ud800", "a\u2028b"])
def test_names_that_are_refused(tmp_path, name):
    store = make(tmp_path / "s", 0)
    with store.lock(), pytest.raises(ConfigError, match="task name"):
        store.append(record(name), content(0))


def test_a_task_of_the_same_name(tmp_path):
    store = make(tmp_path / "s", 1)
    with store.lock(), pytest.raises(TaskExistsError, match="task 0"):
        store.append(record("task 0"), content(1))


def test_an_unknown_name_suggests_the_nearest(tmp_path):
    store = make(tmp_path / "s", 2)
    with pytest.raises(UnknownNameError, match="did you mean 'task 1'"):
        store.content("tsk 1")
    with pytest.raises(UnknownNameError, match="there are: task 0, task 1"):
        store.record("zzz")


def test_someone_wrote_meanwhile(tmp_path):
    store = make(tmp_path / "s", 1)
    seen = store.task_names()
    other = StoreDirectory.open(tmp_path / "s")
    with other.lock():
        other.append(record("task 1"), content(1), after=seen)
    with store.lock(), pytest.raises(StoreError, match="someone wrote meanwhile"):
        store.append(record("task 2"), content(2), after=seen)
    with store.lock():
        store.append(record("task 2"), content(2), after=("task 0", "task 1"))
    other.reload()
    assert other.task_names() == ("task 0", "task 1", "task 2")
    assert_sound(tmp_path / "s", 3)


def test_carry_is_for_the_next_task_of_the_same_method(tmp_path):
    store = make(tmp_path / "s", 2)
    assert_tensors(store.carry("wsn") or {}, carry(1))
    assert store.carry("ibm") is None
    assert sorted(os.listdir(tmp_path / "s/carry")) == ["0001.safetensors"]
    with store.lock():
        store.append(record("other", method={"name": "ibm"}), content(2))
        assert_tensors(store.carry("wsn") or {}, carry(1))
        store.append(record("stale"), content(3))
    assert store.carry("wsn") is None
    assert os.listdir(tmp_path / "s/carry") == []


def test_reshape_while_there_are_no_tasks(tmp_path):
    store = make(tmp_path / "s", 0)
    old = store.header.fingerprint
    store.reshape_shared(specs()[:1], ["*.bias"])
    with store.lock():  # it gave back the lock it took
        store.reshape_shared(specs()[1:], [])
    again = StoreDirectory.open(tmp_path / "s")
    assert again.shared == tuple(specs()[1:])
    assert again.private == ()
    assert again.header.fingerprint != old
    assert_tensors(again.base(), base())
    with pytest.raises(StoreError, match="not a tensor of the base"):
        store.reshape_shared([TensorSpec("bias", (6,), "float32")], [])
    used = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in again.shared}
    with again.lock():
        again.append(record("x"), content_of(again.shared, used, {}, {}, {}))
    with pytest.raises(StoreError, match="cannot change any more"):
        store.reshape_shared(specs(), [])


def test_create_refuses_what_is_there(tmp_path):
    make(tmp_path / "s", 1)
    with pytest.raises(StoreError, match="open it"):
        make(tmp_path / "s")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not an empty directory"):
        make(tmp_path / "full")
    with pytest.raises(StoreError, match="not an empty directory"):
        make(tmp_path / "full/notes.txt")
    assert [item.name for item in (tmp_path / "full").iterdir()] == ["notes.txt"]
    with pytest.raises(StoreError, match="listed twice"):
        StoreDirectory.create(tmp_path / "t", base(), specs() + specs()[:1])
    with pytest.raises(StoreError, match="could be made"):
        make(tmp_path / "full/notes.txt/below")


def test_create_in_an_empty_directory_and_below_missing_ones(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    make(Path("a/b/c"))
    assert_sound(tmp_path / "a/b/c", 2)


def test_open_where_there_is_none(tmp_path):
    with pytest.raises(StoreMissingError, match="create one first"):
        StoreDirectory.open(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        StoreDirectory.open(tmp_path)
    (tmp_path / "base.safetensors").write_bytes(b"half")
    with pytest.raises(StoreMissingError, match="interrupted"):
        StoreDirectory.open(tmp_path)
    make(tmp_path)
    assert_sound(tmp_path, 2)


def test_errors_survive_pickling():
    error = DamagedFileError("a/b", "is missing", "do this")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file) == ("a/b is missing; do this", "a/b")


def test_what_the_user_put_there_is_never_removed(tmp_path):
    store = make(tmp_path / "s", 1)
    mine = [tmp_path / "s" / name for name in ("notes.txt", "tasks/notes.txt", "carry/x", "tasks/0000-task-0/y")]
    for file in mine:
        file.write_text("mine")
    with store.lock():
        store.append(record("task 1"), content(1))
    assert all(file.read_text() == "mine" for file in mine)
    assert sorted(problem.file for problem in store.verify()) == sorted(
        str(file.relative_to(tmp_path / "s")) for file in mine
    )
    assert all(problem.harmless for problem in store.verify())


@pytest.mark.parametrize("part", ["tasks", "carry", "snapshot", "progress", ".lock", ".lock.json", "base.safetensors"])
def test_nothing_is_written_through_a_link_out_of_the_store(tmp_path, part):
    """As a store from somebody else may have it; readers read, and check what they read, as ever."""
    store = make(tmp_path / "s", 1)
    outside = tmp_path / "outside"
    inside = store.path / part
    if inside.exists():
        inside.rename(outside)
    elif part.startswith("."):
        outside.write_bytes(b"mine")
    else:
        outside.mkdir()
    inside.symlink_to(outside)
    before = snapshot(tmp_path) if outside.is_dir() else outside.read_bytes()
    with pytest.raises(StoreError, match="is a symbolic link"):
        store.lock()
    assert (snapshot(tmp_path) if outside.is_dir() else outside.read_bytes()) == before
    assert_content(store.content("task 0"), content(0))
