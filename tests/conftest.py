"""What every test starts from: a fixed seed, a Ctrl-C that works, and Hypothesis without chance or haste."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

settings.register_profile("narrows", deadline=None, derandomize=True)
settings.load_profile("narrows")


MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30  # bytes


def pytest_configure(config: pytest.Config) -> None:
    """Puts tests' files into memory where there is room: a store flushes each of its files, and a disk takes its time.

    `--basetemp` and PYTEST_DEBUG_TEMPROOT say another place.
    """
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_modules(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module that a test wrote for itself is forgotten with it: its file goes, and the next has one of that name."""
    if "tmp_path" not in request.fixturenames:
        yield
        return
    before, folder = set(sys.modules), str(request.getfixturevalue("tmp_path"))
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(folder):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _ctrl_c() -> Iterator[None]:
    """`nohup` and `&` start the tests with SIGINT ignored, and their children with it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


if TYPE_CHECKING:
    from forked import Forked

    Child = subprocess.Popen[str] | subprocess.Popen[bytes] | BaseProcess | Forked


@pytest.fixture
def ends() -> Iterator[Callable[[Child], Child]]:
    """`ends(child)` kills a child that was started, and waits for it, when the test ends, however it ends."""
    with ExitStack() as stack:

        def register(child: Child) -> Child:
            if isinstance(child, subprocess.Popen):
                stack.enter_context(child)  # waits, and closes its pipes
            else:
                stack.callback(child.join if isinstance(child, BaseProcess) else child.close)
            stack.callback(child.kill)
            return child

        yield register
