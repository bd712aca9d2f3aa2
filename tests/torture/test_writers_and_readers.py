"""Several at once: one writes, the others are told so, and whoever reads sees a whole store at any moment."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import HUNG, child, start, wait
from tally import Tally
from torture_store import append_another, fingerprint, learn, network, state

import narrows as nw
from narrows.errors import StoreLockedError, UnknownNameError


@pytest.fixture
def root(prepared: Path, place: Path) -> Path:
    shutil.rmtree(place / "shared", ignore_errors=True)
    return Path(shutil.copytree(prepared, place / "shared"))


def write(root: Path, name: str, turns: int) -> tuple[int, int]:
    """Add and forget tasks of its own, keeping what it added last. (tasks added, times that another was writing).

    How many of its turns succeed is luck; it goes on until one has.
    """
    added = locked = turn = 0
    until = time.monotonic() + HUNG / 2
    while turn < turns or (not added and time.monotonic() < until):
        try:
            append_another(root, f"{name} {turn}")
            added += 1
            if turn:
                forget(root, f"{name} {turn - 1}")
        except StoreLockedError as error:
            if "is being written by" not in str(error):
                raise
            locked += 1
        except UnknownNameError:
            pass  # the one before was never added, as another was writing
        turn += 1
    return added, locked


def forget(root: Path, name: str) -> None:
    """Forget, waiting for the others."""
    until = time.monotonic() + HUNG
    while time.monotonic() < until:
        try:
            nw.TaskStore.open(root).forget(name)
            return
        except StoreLockedError:
            time.sleep(0.001)
    raise TimeoutError(f"{root} stayed locked")


def require_whole(root: Path, before: dict[str, Any]) -> None:
    """The tasks that were there are as they were, nothing is damaged, and the next write finds the lock free."""
    after = state(root)
    assert after is not None
    assert {name: after["tasks"][name] for name in before["tasks"]} == before["tasks"]
    append_another(root, "the last")
    assert nw.TaskStore.open(root).verify(deep=True) == []


def run_threads(*works: Callable[[], object]) -> None:
    """All at once; the first error of any is raised here."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HUNG)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_two_threads_write(root: Path, tally: Tally, long: bool):
    before = state(root)
    assert before is not None
    turns = 200 if long else 15
    counts: list[tuple[int, int]] = []
    with tally.fault("two writers", "threads", 2 * turns):
        run_threads(*(lambda name=name: counts.append(write(root, name, turns)) for name in ("one", "two")))
        assert all(added for added, _ in counts)
        require_whole(root, before)


def test_two_processes_write(root: Path, tally: Tally, long: bool):
    before = state(root)
    assert before is not None
    turns = 200 if long else 15
    with tally.fault("two writers", "processes", 2 * turns):
        other = start(lambda: write(root, "one", turns))
        added, _ = write(root, "two", turns)
        assert wait(other) == 0
        assert added
        require_whole(root, before)


def test_the_second_of_two_tasks_is_told_who_writes(root: Path, tally: Tally):
    with tally.fault("two writers", "task in progress"):
        with learn(nw.TaskStore.open(root, network()), "first", nw.WSN(density=0.3)) as task:

            def second() -> None:
                with pytest.raises(StoreLockedError, match=f"process {os.getppid()} "):
                    nw.TaskStore.open(root, network()).begin("second", nw.WSN(density=0.3))

            assert child(second) == 0
            task.commit()
        with nw.TaskStore.open(root, network()).begin("second", nw.WSN(density=0.3)):
            pass


def read_on(root: Path, sound: dict[str, str | None], stop: Callable[[], bool], count: Path) -> int:
    """Read all that can be read, again and again: each task is as it was, or gone by name.

    Each turn adds a byte to ``count``, by which the writer, in whatever process, knows how often it was read."""
    turns = 0
    store = nw.TaskStore.open(root, network())
    while not stop():
        turns += 1
        store = store if turns % 2 else nw.TaskStore.open(root, network())  # old knowledge, and new
        for record in store.tasks():
            try:
                found = fingerprint(store.load(record.name).state_dict())
            except UnknownNameError:
                assert record.name not in sound, "a task that nobody forgets is gone"
                continue
            assert found == sound.get(record.name, found), f"{record.name} changed"
        assert [problem for problem in store.verify(deep=True) if not problem.harmless] == []
        store.values_kept()
        with count.open("ab") as file:
            file.write(b".")
    return turns


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_readers_while_others_write(root: Path, kind: str, tally: Tally, long: bool, tmp_path: Path):
    """The writer forgets a task that others build on, adds and forgets more, and compacts."""
    store = nw.TaskStore.open(root, network())
    sound = {name: fingerprint(store.load(name).state_dict()) for name in ("middle", "leaf")}
    turns = 300 if long else 12
    done, count = tmp_path / "done", tmp_path / "count"
    count.touch()

    def enough(turn: int, until: float) -> bool:
        """A slow machine's reader may still be in its first turn after the last of the writer's."""
        return turn >= turns and (count.stat().st_size > 1 or time.monotonic() > until)

    def writer() -> None:
        try:
            write_loop()
        finally:
            done.touch()

    def write_loop() -> None:
        forget(root, "root")
        turn, until = 0, time.monotonic() + HUNG
        while not enough(turn, until):
            append_another(root, f"another {turn}")
            if turn > 1:
                forget(root, f"another {turn - 2}")
            if turn % 4 == 3:
                nw.TaskStore.open(root).compact()
            turn += 1

    reads: list[int] = []
    with tally.fault("reader beside a writer", kind, turns):
        if kind == "thread":
            run_threads(writer, lambda: reads.append(read_on(root, sound, done.exists, count)))
        else:
            other = start(writer)
            reads.append(read_on(root, sound, done.exists, count))
            assert wait(other) == 0
        assert reads[0] > 1
        assert nw.TaskStore.open(root).verify(deep=True) == []
