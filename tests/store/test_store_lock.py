"""One writer: by thread, by process, and not by a forked child."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from narrows.errors import (
    StoreError,
    StoreLockedError,
)
from narrows.store import StoreDirectory
from store_samples import (
    assert_content,
    assert_sound,
    content,
    make,
    record,
    specs,
)


def test_append_needs_the_lock(tmp_path):
    store = make(tmp_path / "s", 1)
    with pytest.raises(StoreError, match="lock"):
        store.append(record("task 1"), content(1))
    with store.lock() as lock:
        lock.release()
        lock.release()
        with pytest.raises(StoreError, match="lock"):
            store.append(record("task 1"), content(1))


def test_one_writer(tmp_path):
    store = make(tmp_path / "s", 1)
    other = StoreDirectory.open(tmp_path / "s")
    with store.lock():
        for taken in (store, other):
            with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on .* since 20"):
                taken.lock()
        with pytest.raises(StoreLockedError):
            other.reshape_shared(specs(), [])
        assert_content(other.content("task 0"), content(0))  # readers go on
        errors: list[BaseException] = []

        def take() -> None:
            try:
                other.lock()
            except StoreLockedError as error:
                errors.append(error)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        assert len(errors) == 1
        store.append(record("task 1"), content(1))
        (tmp_path / "s/.lock.json").write_text("{}")
        with pytest.raises(StoreLockedError, match="another process or thread"):
            other.lock()
    with other.lock():
        pass
    assert_sound(tmp_path / "s", 2)


HOLD = """
import sys
from narrows.store import StoreDirectory
lock = StoreDirectory.open(sys.argv[1]).lock()
print("held", flush=True)
sys.stdin.readline()
"""


def test_locked_by_another_process_until_it_dies(tmp_path, ends):
    store = make(tmp_path / "s", 1)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "s")]
    process = ends(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(StoreLockedError, match=f"process {process.pid} on"):
        store.lock()
    process.kill()
    process.wait()
    with store.lock():
        store.append(record("task 1"), content(1))
    assert_sound(tmp_path / "s", 2)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # torch has threads; the child only exits
def test_a_forked_child_neither_writes_nor_frees_the_lock(tmp_path):
    store = make(tmp_path / "s", 1)
    with store.lock() as lock:
        child = os.fork()
        if child == 0:  # as a data loader's worker is
            lock.release()
            try:
                store.append(record("task 1"), content(1))
            except StoreError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
            StoreDirectory.open(tmp_path / "s").lock()
    assert_sound(tmp_path / "s", 1)
