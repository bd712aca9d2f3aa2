from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from narrows.errors import DamagedStoreError, StoreError, StoreVersionError
from narrows.store import StoreDirectory
from store_samples import assert_content, assert_sound, content, record, snapshot

BLOBS = ("claimed.safetensors", "mask.bin", "private.safetensors")
TASK_FILES = tuple(f"tasks/0001-task-1/{name}" for name in ("task.json", *BLOBS))
FILES = ("base.safetensors", "carry/0001.safetensors", *TASK_FILES)
Edit = Callable[[dict[str, Any]], object]


def read(root: Path, file: str) -> None:
    """Read what lies in `file`."""
    store = StoreDirectory.open(root)
    if file == "base.safetensors":
        store.base()
    elif file.startswith("carry"):
        store.carry("wsn")
    else:
        store.content("task 1")


def faults(data: bytes):
    for length in sorted({0, 1, 7, 8, 9, 16, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}):
        yield data[:length]
    yield data + b"\0"
    yield data + data
    for position in range(0, len(data), max(1, len(data) // 40)):
        yield flipped(data, position, position % 8)
    yield flipped(data, len(data) - 1, 0)


def flipped(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


@pytest.mark.parametrize("file", FILES)
def test_truncated_or_altered(root, file):
    data = (root / file).read_bytes()
    for fault in faults(data):
        (root / file).write_bytes(fault)
        with pytest.raises(DamagedStoreError) as caught:
            read(root, file)
        assert file in str(caught.value)
        assert "restore" in str(caught.value)
        store = StoreDirectory.open(root)
        assert_content(store.content("task 0"), content(0))
        if file != "base.safetensors":
            store.base()
    problems = store.verify()
    assert [(problem.file, problem.harmless) for problem in problems] == [(file, False)]
    assert problems[0].task == ("task 1" if file in TASK_FILES else None)


@pytest.mark.parametrize("bit", [0, 5])
def test_every_byte_of_store_json_counts(root, bit):
    data = (root / "store.json").read_bytes()
    for position in range(len(data)):
        (root / "store.json").write_bytes(flipped(data, position, bit))
        with pytest.raises((DamagedStoreError, StoreVersionError), match=r"store\.json"):
            StoreDirectory.open(root)


def test_store_json_truncated(root):
    data = (root / "store.json").read_bytes()
    for length in (*range(0, len(data), 7), len(data) - 1):
        (root / "store.json").write_bytes(data[:length])
        with pytest.raises(DamagedStoreError, match=r"store\.json .* restore store\.json from a backup"):
            StoreDirectory.open(root)
    (root / "store.json").write_bytes(data + b"\n")
    with pytest.raises(DamagedStoreError, match="its own SHA-256"):
        StoreDirectory.open(root)


@pytest.mark.parametrize("file", FILES)
def test_missing_or_not_a_file(root, file):
    (root / file).unlink()
    with pytest.raises(DamagedStoreError, match=f"{file} is missing"):
        read(root, file)
    (root / file).mkdir()
    with pytest.raises(DamagedStoreError, match=file):
        read(root, file)
    (root / file).rmdir()
    os.mkfifo(root / file)  # must not hang
    with pytest.raises(DamagedStoreError, match=file):
        read(root, file)


def test_verify_carries_on_past_everything(root):
    store = StoreDirectory.open(root)
    for file in (*FILES, "store.json"):
        (root / file).write_bytes(b"gone")
    (root / "tasks/0000-task-0/mask.bin").unlink()
    steps: list[tuple[str, int, int]] = []
    problems = store.verify(lambda *step: steps.append(step))
    found = {problem.file for problem in problems}
    # The blobs of a task cannot be judged once its task.json is gone.
    assert found == {"store.json", *FILES, "tasks/0000-task-0/mask.bin"} - {*TASK_FILES[1:]}
    assert all(problem.remedy and problem.what in str(problem) for problem in problems)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert {total for *_, total in steps} == {12}


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES, errno.ENOMEM])
def test_trouble_that_is_no_damage(root, monkeypatch, code):
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    store = StoreDirectory.open(root)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="may be whole") as caught:
        store.base()
    assert not isinstance(caught.value, DamagedStoreError)


def test_a_whole_task_directory_is_gone(root):
    shutil.rmtree(root / "tasks/0001-task-1")
    store = StoreDirectory.open(root)
    assert_content(store.content("task 0"), content(0))
    for ask in (store.record, store.content, store.bytes_of):
        with pytest.raises(DamagedStoreError, match="tasks/0001-task-1/"):
            ask("task 1")
    assert [problem.file for problem in store.verify()] == ["tasks/0001-task-1/task.json"]
    with store.lock():
        store.append(record("task 2"), content(2))
    assert_content(StoreDirectory.open(root).content("task 2"), content(2))


def test_reading_writes_nothing(root):
    (root / "tasks/.new-0002-x").mkdir()
    (root / "tasks/0002-x").mkdir()
    (root / "tasks/0002-x/task.json").write_text("left")
    (root / "store.json.tmp").write_text("left")
    (root / "tasks/0003-x").mkdir()
    (root / "carry/0002.safetensors").write_text("left")
    before = snapshot(root)
    store = StoreDirectory.open(root)
    store.records(), store.base(), store.carry("wsn"), store.bytes_total()
    problems = store.verify()
    assert all(problem.harmless for problem in problems)
    kept = [problem.file for problem in problems if "next commit" not in problem.remedy]
    assert kept == ["tasks/0002-x"]  # nothing says what that is
    assert len(problems) == 5
    assert snapshot(root) == before
    with store.lock():
        store.append(record("task 2"), content(2))
    assert_sound(root, 3, leftovers=True)
    assert [problem.file for problem in StoreDirectory.open(root).verify()] == kept
    assert store.record("task 2").directory == "0003-task-2"  # no index twice
