"""No memory, no descriptors, no disk to write to: our own error, and nothing lost."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import random
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from children import can_mount, child, limit_memory, read_only
from commands import READING, WRITING, Stage, seen
from operations import Range
from tally import Tally
from torch.utils._python_dispatch import TorchDispatchMode
from torture_store import LONG, thin

from disk_faults import CHANGING, Fault
from narrows.errors import NarrowsError

SLOW = ("compare", "report")
SHORT = ("init", "learn", "forget", "predict", "verify")
"""Commands of the short form."""


class NoMemoryAt(TorchDispatchMode):
    """Lets so many of torch's operations pass, then one fails as where there is no memory."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left == -1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory")
        return func(*args, **(kwargs or {}))


def attempt(scene: Range, harm: contextlib.AbstractContextManager[Any]) -> NarrowsError | None:
    """What the operation raises under the harm, which must be our own."""
    with scene.operation.ready(scene.fresh()) as act:
        try:
            with harm:
                act()
        except NarrowsError as error:
            return error
    return None


def test_torch_gets_no_memory_at_any_operation(scene: Range, tally: Tally, long: bool):
    counting = NoMemoryAt(1 << 40)
    assert attempt(scene, counting) is None
    count = (1 << 40) - counting.left
    for after in thin(range(count), 120 if long else 3, long=False):
        with tally.fault(scene.operation.name, "no memory, torch"):
            error = attempt(scene, NoMemoryAt(after))
            assert error is None or "memory" in str(error)
            assert scene.check() == "new" or error is not None


def test_no_memory_at_any_call(scene: Range, tally: Tally, long: bool):
    calls = scene.calls()
    points = [(at, late) for at, name in enumerate(calls) for late in (False, True) if long or name in CHANGING]
    for at, late in thin(points, 3, long):
        with tally.fault(scene.operation.name, "no memory, at a call"):
            error = attempt(scene, Fault(at, MemoryError, for_ever=False, late=late).active())
            assert scene.check() == "new" or error is not None


if importlib.util.find_spec("_testcapi"):  # which Python's own tests have, and not every Python

    def test_any_allocation_of_python_fails(scene: Range, tally: Tally, long: bool):
        """One allocation of the interpreter's, whichever it is, in a child."""
        nomemory = importlib.import_module("_testcapi")
        chance = random.Random(scene.operation.name)
        for _ in range(80 if long else 3):
            nth = int(2 ** chance.uniform(3, 16.5))
            root = scene.fresh()

            def work(root: Path = root, nth: int = nth) -> None:
                with scene.operation.ready(root) as act:
                    try:
                        nomemory.set_nomemory(nth, nth + 1)
                        act()
                    except (NarrowsError, MemoryError, TypeError, SystemError):
                        pass  # where it is the first of all that fails; the interpreter calls some by another name
                    finally:
                        nomemory.remove_mem_hooks()

            with tally.fault(scene.operation.name, "no memory, Python"):
                assert child(work) == 0, nth
                scene.check()


@pytest.fixture(params=[*WRITING, *READING] if LONG else SHORT)
def stage(request: pytest.FixtureRequest, world: Path, place: Path) -> Iterator[Stage]:
    """Of each command in turn."""
    yield Stage(request.param, place / "starved", world)
    shutil.rmtree(place / "starved")


def starved(stage: Stage, harm: Any) -> int:
    """The exit code of the command in a child under the harm; a traceback is none of its codes."""
    stage.fresh()

    def work() -> None:
        os.chdir(stage.here)
        harm()
        code = stage.act()
        assert code in (0, 1), code
        os._exit(10 + code)

    return child(work) - 10


def test_memory_is_limited(stage: Stage, tally: Tally, long: bool):
    """The real limit of the address space, from nothing beside what there is up to all that is needed."""
    limits = [0, *(1 << step for step in range(12, 29))]
    for room in thin(limits, 4, long and stage.name not in SLOW):
        with tally.fault(f"narrows {stage.name}", "RLIMIT_AS"):
            assert starved(stage, lambda room=room: limit_memory(room)) in (0, 1), room
            stage.check()


def test_descriptors_are_limited(stage: Stage, tally: Tally, long: bool):
    """The real limit, from one too few for a single file upwards."""
    for spare in thin(range(12), 3, long and stage.name not in SLOW):

        def limit(spare: int = spare) -> None:
            most = max(map(int, os.listdir("/proc/self/fd")))
            resource.setrlimit(resource.RLIMIT_NOFILE, (most + spare, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        with tally.fault(f"narrows {stage.name}", "RLIMIT_NOFILE"):
            assert starved(stage, limit) in (0, 1), spare
            stage.check()


if can_mount(Path(gettempdir())):

    def test_a_disk_that_is_read_only(stage: Stage, tally: Tally):
        with tally.fault(f"narrows {stage.name}", "read-only disk"):
            code = starved(stage, lambda: read_only(stage.here) or os.chdir(stage.here))
            assert code == (0 if stage.name in READING else 1)
            assert seen(stage.here) == stage.old
            stage.check()
