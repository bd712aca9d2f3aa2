"""A disk that fails, or a process that is killed, at a chosen call: a layer over the real calls of `os`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

CALLS = ("open", "write", "fsync", "close", "mkdir", "rename", "replace", "unlink", "rmdir")


CHANGING = {"write", "mkdir", "rename", "replace", "unlink", "rmdir"}  # what a disk holds

_close = os.close


class Killed(BaseException):
    """Stands in for SIGKILL: nothing may handle it."""


class Fault:
    """Lets `after` calls pass, then fails: once or for ever, instead of the call or just after it (`late`).

    A write that fails has written half. `hit` names the call that was struck, "" while none was; `passed` names
    the calls that were let through.
    """

    def __init__(self, after: int, error: Callable[[], BaseException], for_ever: bool, late: bool = False) -> None:
        self.after, self.error, self.for_ever, self.late = after, error, for_ever, late
        self.hit = ""
        self.passed: list[str] = []

    def wrap(self, name: str) -> Callable[..., Any]:
        # No power is cut here, so a flush that succeeds need not really be one: it is slow.
        real = getattr(os, name) if name != "fsync" else lambda _: None

        def call(*args: Any, **options: Any) -> Any:
            if self.hit and not self.for_ever:
                return real(*args, **options)
            if self.hit or len(self.passed) == self.after:
                first, self.hit = not self.hit, self.hit or name
                if name == "close":
                    with suppress(OSError):  # closed twice where the first report was taken for a failure
                        real(*args)  # a closed descriptor is closed, whatever the call reports
                elif first and self.late:
                    with suppress(OSError):  # a call that fails by itself is one to be struck after, too
                        result = real(*args, **options)
                        if name == "open":
                            _close(result)
                elif first and name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                raise self.error()
            self.passed.append(name)
            return real(*args, **options)

        return call

    @contextmanager
    def active(self) -> Iterator[None]:
        patches = [mock.patch.object(os, name, self.wrap(name)) for name in CALLS]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


def disk(code: int) -> Callable[[], BaseException]:
    """What a disk raises that fails with `code`."""
    return lambda: OSError(code, os.strerror(code))


def sigkill() -> BaseException:
    """Kills this process for real."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process outlived SIGKILL")
