"""SIGKILL, for real, at every call of the system that an operation makes: the store is the old one or the new one."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import can_trace, child
from operations import Range
from tally import Tally
from torture_store import thin

from disk_faults import CHANGING, Fault, sigkill


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_at_every_call(scene: Range, late: bool, tally: Tally, long: bool):
    calls = scene.calls()
    assert calls
    found: Counter[str] = Counter()
    # The short form leaves out the calls that change nothing on the disk.
    for after in thin([at for at, name in enumerate(calls) if long or name in CHANGING], 3, long):
        root = scene.fresh()

        def work(root=root, after=after) -> None:
            with scene.operation.ready(root) as act, Fault(after, sigkill, True, late).active():
                act()

        with tally.fault(scene.operation.name, "SIGKILL, counting layer"):
            assert child(work) == -signal.SIGKILL
            found[scene.check()] += 1
    if scene.old != scene.new:
        assert found["new" if late else "old"]


def traced(scene: Range, options: list[str]) -> int:
    """Do the operation on a fresh store under strace with these options. Returns the exit status of `child`."""
    root = scene.fresh()
    held: list[Callable[[], object]] = []

    @contextmanager
    def ready() -> Iterator[None]:
        with scene.operation.ready(root) as act:
            held.append(act)
            yield

    return child(lambda: held[0](), options, ready)


def system_calls(scene: Range, log: Path) -> list[tuple[str, int]]:
    """Every call that the operation makes of the system, in order: its name, and the how-manieth of that name it is."""
    assert traced(scene, ["-e", "trace=all", "-o", str(log)]) == 0
    assert scene.check() == "new"
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
    count: Counter[str] = Counter()
    calls = []
    for name in names:
        count[name] += 1
        calls.append((name, count[name]))
    return calls


if can_trace():  # else the kills above must do

    def test_killed_by_strace_at_every_system_call(scene: Range, tally: Tally, long: bool, tmp_path: Path):
        calls = system_calls(scene, tmp_path / "log")
        assert calls
        found: Counter[str] = Counter()
        for name, nth in thin(calls, 3, long):
            status = traced(scene, ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={nth}"])
            if status == 0:  # how often some are made (mmap, close) is not the same every time
                assert scene.check() == "new"
                continue
            with tally.fault(scene.operation.name, "SIGKILL, strace"):
                assert status == -signal.SIGKILL
                found[scene.check()] += 1
        assert sum(found.values()) > len(calls) * 0.8 or not long
