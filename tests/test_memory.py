"""A failed allocation is an error of our own, whoever meets it, and leaves the store as it was and free."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import narrows as nw
import store_samples
from disk_faults import Fault
from narrows import memory
from narrows.cli import upkeep
from narrows.errors import DamagedStoreError, StoreError
from narrows.store import StoreDirectory, commit, tensors_file
from terminals import Screen, run

SAID = RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: 8 bytes")


def fails(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_safetensors_is_not_asked_where_there_is_no_room(monkeypatch):
    """It ends in a panic, or hangs."""
    data = tensors_file.encode({"a": torch.ones(3)}, "x")
    monkeypatch.setattr(memory, "_BESIDE", 1 << 62)
    monkeypatch.setattr(tensors_file, "load", fails(AssertionError("asked")))
    monkeypatch.setattr(tensors_file, "save", fails(AssertionError("asked")))
    for act in (lambda: tensors_file.decode(data, "x"), lambda: tensors_file.encode({"a": torch.ones(3)}, "x")):
        with pytest.raises(StoreError, match="there is no memory for"):
            act()


class PanicException(BaseException):
    """As pyo3 raises it."""


@pytest.mark.parametrize("error", [MemoryError(), SAID, PanicException("PyObject pointer is null")])
def test_no_memory_is_no_damage(error, monkeypatch):
    data = tensors_file.encode({"a": torch.ones(3)}, "x")
    monkeypatch.setattr(tensors_file, "load", fails(error))
    with pytest.raises(StoreError, match="not enough memory to read x") as caught:
        tensors_file.decode(data, "x")
    assert not isinstance(caught.value, DamagedStoreError)


def test_a_lock_is_let_go_where_there_is_no_memory_for_it(tmp_path):
    store = store_samples.make(tmp_path / "s")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.store.lock.utc_now", fails(MemoryError()))
        with pytest.raises(StoreError, match="not enough memory to lock"):
            store.lock()
    with pytest.MonkeyPatch.context() as patch, store.lock():
        patch.setattr("narrows.store.lock.os.unlink", fails(MemoryError()))
    lock = store.lock()
    with Fault(1, MemoryError, for_ever=False, late=True).active():  # of unlinking and closing the second
        lock.release()
    with store.lock():
        pass


def test_a_change_without_memory_changes_nothing(tmp_path):
    store = store_samples.make(tmp_path / "s")
    for where in ("write_task", "stage", "sweep"):
        with pytest.MonkeyPatch.context() as patch, store.lock():
            patch.setattr(commit, where, fails(MemoryError()))
            with pytest.raises(StoreError, match=r"nothing was committed to .*, which is as it was: no memory"):
                store.append(store_samples.record("more"), store_samples.content(2))
    assert StoreDirectory.open(tmp_path / "s").verify(deep=False) == []


def test_a_number_beyond_every_float_is_refused_before_anything_is_written(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    with store.begin("first", nw.IBM(density=0.5)) as task:
        task.fit([(torch.randn(16, 4), torch.arange(16) % 2)], nw.Training(5), progress=False)
        for told in ({"metrics": {"loss": 10**400}}, {"data": {"rows": [{"x": -(10**400)}]}}):
            with pytest.raises(StoreError, match="cannot be written as JSON"):
                task.commit(**told)
        assert store.names() == ()
        assert not any((tmp_path / "s/tasks").iterdir())
        task.commit(metrics={"loss": 10**300})
    assert store.verify(deep=True) == []


@pytest.mark.parametrize("error", [MemoryError(), SAID, RuntimeError("can't start new thread")])
def test_a_command_without_memory_says_so(error, tmp_path, monkeypatch):
    store_samples.make(tmp_path / "s")
    err = Screen("utf-8")
    monkeypatch.setattr(upkeep, "counted", fails(error))
    assert run(monkeypatch, ["verify", tmp_path / "s"], Screen("utf-8"), err) == 1
    assert "error: There is not enough memory for that" in err.text


def test_another_fault_of_ours_is_not_taken_for_a_lack_of_memory(tmp_path, monkeypatch):
    store_samples.make(tmp_path / "s")
    monkeypatch.setattr(upkeep, "counted", fails(RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(monkeypatch, ["verify", tmp_path / "s"], Screen("utf-8"), Screen("utf-8"))


def test_verifying_starts_no_thread_for_a_bar_that_nobody_sees(tmp_path, monkeypatch):
    """Python waits endlessly for a thread that gets no memory to begin."""
    store_samples.make(tmp_path / "s")
    monkeypatch.setattr(threading.Thread, "start", fails(AssertionError("a thread")))
    assert run(monkeypatch, ["verify", tmp_path / "s"], Screen("utf-8"), Screen("utf-8")) == 0
