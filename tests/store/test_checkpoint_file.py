"""The checkpoint of a task in progress: exact, replaced whole, and never mistaken for something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from narrows.errors import ConfigError, StoreError
from narrows.store import DamagedFileError, StoreDirectory
from narrows.store.checkpoint_file import CheckpointFile, decode, encode
from store_samples import content, make, record

DTYPES = [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.uint8]
TENSORS = st.builds(
    lambda dtype, size: torch.arange(size).to(dtype), st.sampled_from(DTYPES), st.integers(min_value=0, max_value=5)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]))
NODES = st.recursive(
    SCALARS | TENSORS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), NODES, max_size=4))
def test_any_tree_comes_back_as_it_was(tree: dict[str, Any]) -> None:
    data = encode(tree, "x")
    assert same(decode(data, "x"), tree)
    assert encode(tree, "x") == data


@pytest.mark.parametrize(
    "part", [{"a": {1}}, {"a": (1, 2)}, {1: 2}, {"a": object()}, {"a": torch.zeros(2).to_sparse()}]
)
def test_nothing_else_is_taken(part: dict[Any, Any]) -> None:
    with pytest.raises(StoreError):
        encode(part, "x")


def test_tensors_that_share_memory_come_back_apart() -> None:
    tensor = torch.arange(3.0)
    found = decode(encode({"a": tensor, "b": tensor}, "x"), "x")
    found["a"] += 1
    assert torch.equal(found["b"], tensor)


def test_every_flip_and_every_truncation_is_seen() -> None:
    data = encode({"step": 3, "weights": torch.arange(3.0)}, "x")
    for at in range(len(data)):
        for broken in (data[:at], data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]):
            with pytest.raises(DamagedFileError, match="delete this file and begin the task again"):
                decode(broken, "x")


def test_a_store_keeps_it_and_a_commit_of_others_leaves_it(tmp_path: Path) -> None:
    store = make(tmp_path / "s", 1)
    progress = store.checkpoint("next one")
    assert progress.load() is None
    progress.save({"step": 1})
    progress.save({"step": 2})
    with store.lock():
        store.append(record("task 1"), content(1))
    assert store.checkpoint("next one").load() == {"step": 2}
    assert store.verify() == []
    progress.drop()
    progress.drop()
    assert not progress.exists()


def test_compact_drops_those_of_tasks_that_were_committed_and_what_a_kill_left(tmp_path: Path) -> None:
    store = make(tmp_path / "s", 2)
    for name in ("task 1", "task 2"):
        store.checkpoint(name).save({"step": 1})
    left = store.path / (store.checkpoint("task 2").file + ".tmp")
    left.write_bytes(b"half")
    mine = store.path / "progress" / "notes.txt"
    mine.write_text("mine")
    assert [problem.file for problem in store.verify() if problem.harmless] == [
        "progress/notes.txt",
        str(left.relative_to(store.path)),
    ]
    with store.lock():
        reclaimed = store.compact()
    assert reclaimed > 4
    assert store.checkpoint("task 2").exists()
    assert not store.checkpoint("task 1").exists()
    assert not left.exists()
    assert mine.exists()


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = CheckpointFile(tmp_path, "x")
    progress.save({"step": 1})

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match=r"could not be saved: .*No space left"):
            progress.save({"step": 2})
    assert progress.load() == {"step": 1}


def test_names_that_look_alike_have_files_of_their_own(tmp_path: Path) -> None:
    store = make(tmp_path / "s", 0)
    files = [store.checkpoint(name).file for name in ("a/b", "a b", "A b", "../../a", "二")]
    assert len(set(files)) == len(files)
    assert all(file.count("/") == 1 and ".." not in file for file in files)
    with pytest.raises(ConfigError):
        store.checkpoint("a\nb")


def test_what_no_store_wrote_is_refused(tmp_path: Path) -> None:
    store = StoreDirectory.open(make(tmp_path / "s", 0).path)
    path = tmp_path / "s" / store.checkpoint("x").file
    path.parent.mkdir()
    path.write_bytes(b"NRWPROG1" + bytes(100))
    with pytest.raises(DamagedFileError, match="its own SHA-256 does not fit"):
        store.checkpoint("x").load()


def test_the_live_file_beside_it_goes_with_it(tmp_path: Path) -> None:
    store = make(tmp_path / "s", 1)
    files = {}
    for name in ("task 0", "task 1", "task 2"):
        store.checkpoint(name).save({"step": 1})
        files[name] = store.checkpoint(name).live()
        files[name].write_text("{}\n")
    assert files["task 1"].name == Path(store.checkpoint("task 1").file).name.replace(".ckpt", ".live.jsonl")
    assert store.verify() == []
    with store.lock():
        store.compact()  # of a task that is committed
        assert [file.exists() for file in files.values()] == [False, True, True]
        store.append(record("task 1"), content(1))
        assert files["task 2"].exists()
        store.checkpoint("task 2").drop()
        assert [file.exists() for file in files.values()] == [False, True, False]
        store.forget("task 1")
    assert not any(file.exists() for file in files.values())


def test_there_is_no_live_file_behind_a_link(tmp_path: Path) -> None:
    store = make(tmp_path / "s", 1)
    (tmp_path / "outside").mkdir()
    (store.path / "progress").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="symbolic link"):
        store.checkpoint("next").live()
