"""Work done in a child of this process, which may be killed, traced or starved without harm to the tests."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

Ready = Callable[[], AbstractContextManager[Any]]
HUNG = 60  # seconds after which a child is taken to hang
RUNNING: set[int] = set()
"""The process ids of the children that nobody has waited for yet."""


def child(work: Callable[[], object], trace: list[str] | None = None, ready: Ready = nullcontext) -> int:
    """Do `work` within `ready()` in a forked child: its exit status, 1 where it raised, minus the signal that ended it.

    `trace`: options for strace, which is attached when all is ready, so that it counts only what the work does.
    """
    came, announce = os.pipe()
    go, tell = os.pipe()
    pid = start(work, ready, *((announce, go) if trace is not None else ()))
    try:
        tracer = None
        if trace is not None:
            os.close(announce)
            announce = -1
            if os.read(came, 1):  # else it never came so far
                tracer = _attach(pid, trace)
                os.write(tell, b"!")
        status = wait(pid)
        if tracer:
            tracer.communicate(timeout=HUNG)
        return status
    finally:
        for descriptor in {came, announce, go, tell} - {-1}:
            os.close(descriptor)


def start(work: Callable[[], object], ready: Ready = nullcontext, *pipes: int) -> int:
    """Begin `work` within `ready()` in a forked child, and return its process id.

    `pipes`: where the child says that it is ready, and where it then waits for a word.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads; the child needs none of them
        pid = os.fork()
    if pid:
        RUNNING.add(pid)
        return pid
    code = 1
    try:
        with ready():
            if pipes:
                _let_be_traced()
                os.write(pipes[0], b"!")
                os.read(pipes[1], 1)
            work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int) -> int:
    """The exit status of a child, as `child` gives it. TimeoutError, and the child's end, where it hangs."""
    until = time.monotonic() + HUNG
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            RUNNING.discard(pid)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    end(pid)
    raise TimeoutError(f"the child {pid} hung")


def end(pid: int) -> None:
    """Kill a child, and wait for it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    RUNNING.discard(pid)


def _attach(pid: int, options: list[str]) -> subprocess.Popen[str]:
    command = ["strace", "-f", *options, "-p", str(pid)]
    if "-o" not in options:
        command[1:1] = ["-o", os.devnull]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        end(pid)
        tracer.communicate()
        raise PermissionError(said)
    return tracer


def _let_be_traced() -> None:
    """Let any process trace this one, where the kernel (Yama) lets only parents do so."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER, PR_SET_PTRACER_ANY; refused without Yama


def can_trace() -> bool:
    """Whether strace is here and may be used."""
    if not shutil.which("strace"):
        return False
    try:
        return child(lambda: None, trace=["-e", "trace=none"]) == 0
    except (OSError, subprocess.SubprocessError):
        return False


def limit_memory(room: int) -> None:
    """Limits the address space of this process to so many bytes beside what it has."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, resource.RLIM_INFINITY))


def mount_small(place: Path, pages: int) -> None:
    """Put an empty file system of so many pages of 4 KiB at `place`, seen by this process alone. OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_user, new_mounts = 0x10000000, 0x00020000
    if libc.unshare(new_mounts) and libc.unshare(new_user | new_mounts):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE: nothing gets out
    if libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, f"size={pages * 4}k".encode()):
        raise OSError(ctypes.get_errno(), f"nothing can be mounted at {place}")


def read_only(place: Path) -> None:
    """Makes `place` a file system that cannot be written, seen by this process alone, with all that is in it now."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_user, new_mounts = 0x10000000, 0x00020000
    if libc.unshare(new_mounts) and libc.unshare(new_user | new_mounts):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
    path = str(place).encode()
    bind, remount, reading = 0x1000, 0x20, 0x1
    if libc.mount(path, path, None, bind, None) or libc.mount(None, path, None, bind | remount | reading, None):
        raise OSError(ctypes.get_errno(), f"{place} cannot be made read-only")


def can_mount(place: Path) -> bool:
    """Whether `mount_small` is permitted here."""
    return child(lambda: mount_small(place, 4)) == 0
