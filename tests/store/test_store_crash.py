"""A commit stopped at every call that touches the disk: the store is the old one or the new one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disk_faults import Fault, Killed, disk
from narrows.errors import StoreError
from narrows.store import StoreDirectory, UnconfirmedCommitError
from store_samples import assert_content, assert_sound, carry, content, make, record, snapshot

MODES = {
    "kill before": (Killed, True, False),
    "kill after": (Killed, True, True),
    "full once": (disk(errno.ENOSPC), False, False),
    "full": (disk(errno.ENOSPC), True, False),
    "broken once": (disk(errno.EIO), False, True),
    "broken": (disk(errno.EIO), True, True),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("one") / "s"
    make(path, 1)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_append_stopped_anywhere(one, tmp_path, mode):
    """At each call where it is killed, at every other one where the disk fails; make torture takes all."""
    error, for_ever, late = MODES[mode]
    old = snapshot(one)
    outcomes: list[tuple[str, str]] = []
    for after in range(0, 1000, 1 if error is Killed else 2):
        root = Path(shutil.copytree(one, tmp_path / str(after)))
        store = StoreDirectory.open(root)
        fault = Fault(after, error, for_ever, late)
        outcome, message = "done", ""
        with store.lock():
            try:
                with fault.active():
                    store.append(record("task 1"), content(1), carry=carry(1))
            except Killed:
                outcome = "killed"
            except UnconfirmedCommitError as raised:
                outcome, message = "unconfirmed", str(raised)
            except StoreError as raised:
                outcome, message = "failed", str(raised)
        outcomes.append((fault.hit, outcome))
        again = StoreDirectory.open(root)
        is_new = len(again.task_names()) == 2
        assert_sound(root, 2 if is_new else 1, leftovers=True)
        if outcome in ("done", "unconfirmed"):
            assert is_new
            assert store.task_names() == again.task_names()
        if outcome == "unconfirmed":
            assert "check the disk" in message
        if outcome == "failed":
            assert "nothing was committed" in message or "cannot be read" in message
            assert not is_new
            if fault.hit == "replace":  # whatever could be seen of it, the new one may yet turn out to be there
                assert {file: data for file, data in snapshot(root).items() if file in old} == old
                assert (root / "tasks/0001-task-1/task.json").exists()
            elif not for_ever:
                assert snapshot(root) == old
        step = len(again.task_names())
        with again.lock():
            again.append(record(f"task {step}"), content(step), carry=carry(step))
        assert_sound(root, step + 1)
        assert again.header.next_index == step + 1
        shutil.rmtree(root)
        if not fault.hit:
            break
    assert outcomes[-1] == ("", "done")
    assert after > 30
    results = {outcome for _, outcome in outcomes}
    if error is Killed:
        assert results == {"killed", "done"}
    else:
        assert results == {"failed", "unconfirmed", "done"}
        # Only the last flush may leave it open, and the removal of old training state may fail unseen.
        assert {name for name, outcome in outcomes if outcome == "unconfirmed"} <= {"open", "fsync", "close", "replace"}


@pytest.mark.parametrize(("start", "mode"), [(0, "kill before"), (1, "full once"), (2, "broken")])
def test_creation_stopped_anywhere(tmp_path, start, mode):
    """At each call in one mode; in all of them in the long form of tests/torture."""
    error, for_ever, late = MODES[mode]
    for after in range(start, 1000, 3):
        root = tmp_path / f"{after}" / "s"
        fault = Fault(after, error, for_ever, late)
        try:
            with fault.active():
                make(root, 0)
        except (Killed, StoreError):
            pass
        if not (root / "store.json").exists():
            make(root, 0)
        assert_sound(root, 0, leftovers=True)
        store = StoreDirectory.open(root)
        with store.lock():
            store.append(record("task 0"), content(0))
        assert_sound(root, 1)
        shutil.rmtree(root)
        if not fault.hit:
            break
    assert after > 15


def test_short_writes_are_carried_on(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    make(tmp_path / "s", 1)
    monkeypatch.undo()
    assert_sound(tmp_path / "s", 1)


def test_a_disk_that_stores_other_bytes(one, tmp_path, monkeypatch):
    root = Path(shutil.copytree(one, tmp_path / "s"))
    store = StoreDirectory.open(root)
    write = os.write

    def wrong(descriptor: int, data: memoryview) -> int:
        return write(descriptor, bytes(len(data)))

    with store.lock():
        monkeypatch.setattr(os, "write", wrong)
        with pytest.raises(StoreError, match="reads back other bytes"):
            store.append(record("task 1"), content(1))
        monkeypatch.undo()
    assert snapshot(root) == snapshot(one)


def test_every_file_is_flushed_before_the_commit_point(one, tmp_path, monkeypatch):
    root = Path(shutil.copytree(one, tmp_path / "s"))
    store = StoreDirectory.open(root)
    events: list[tuple[str, str]] = []
    real_open, real_fsync, real_rename, real_replace = os.open, os.fsync, os.rename, os.replace
    paths: dict[int, str] = {}

    def opened(path: Any, *args: Any, **options: Any) -> int:
        descriptor = real_open(path, *args, **options)
        paths[descriptor] = os.path.relpath(path, root)
        return descriptor

    def synced(descriptor: int) -> None:
        events.append(("fsync", paths[descriptor]))
        real_fsync(descriptor)

    def moved(real: Callable[[Any, Any], None], source: Any, target: Any) -> None:
        events.append(("rename", os.path.relpath(target, root)))
        real(source, target)

    with store.lock(), monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "rename", lambda a, b: moved(real_rename, a, b))
        patch.setattr(os, "replace", lambda a, b: moved(real_replace, a, b))
        store.append(record("task 1"), content(1), carry=carry(1))
    new = "tasks/.new-0001-task-1"
    files = ("claimed.safetensors", "mask.bin", "private.safetensors", "task.json")
    assert events == [
        ("fsync", "store.json.tmp"),
        ("fsync", "."),
        *(("fsync", f"{new}/{file}") for file in files),
        ("fsync", new),
        ("rename", "tasks/0001-task-1"),
        ("fsync", "tasks"),
        ("fsync", "carry/0001.safetensors"),
        ("fsync", "carry"),
        ("rename", "store.json"),
        ("fsync", "."),
    ]
    assert_content(store.content("task 1"), content(1))
